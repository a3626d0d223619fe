// A little comfort over pages that work without it: tick all, send once, keys for lists, dirty forms.
"use strict";
document.querySelectorAll("[data-tick-all]").forEach((box) => {
  box.addEventListener("change", () => {
    document.querySelectorAll(`input[name="${box.dataset.tickAll}"]`).forEach((one) => { one.checked = box.checked; });
  });
});
document.querySelectorAll("form").forEach((form) => {
  form.addEventListener("submit", () => {
    window.setTimeout(() => form.querySelectorAll("button").forEach((one) => { one.disabled = true; }), 0);
  });
});
window.addEventListener("pageshow", () => {
  document.querySelectorAll("form button[disabled]").forEach((one) => { one.disabled = false; });
});
document.querySelectorAll("select[data-go]").forEach((choice) => {
  choice.addEventListener("change", () => choice.form.requestSubmit());
});
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  const links = [...document.querySelectorAll("[data-row]")];
  const at = links.indexOf(document.activeElement);
  if (event.key === "j" && links[at + 1]) links[at + 1].focus();
  else if (event.key === "k" && at > 0) links[at - 1].focus();
  else if (event.key === "x" && at >= 0) links[at].closest("tr").querySelector("input[type=checkbox]")?.click();
  else if (event.key === "/") {
    const search = document.querySelector("input[type=search]");
    if (search) { event.preventDefault(); search.focus(); }
  }
});
