// A little comfort over pages that work without it: tick all, send once, keys for lists, progress.
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
// What runs in the background is looked at again until it is done; the rest of the page stays as it was typed.
async function lookAgain(section) {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } }).catch(() => null);
  const page = answer?.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
  const fresh = page?.getElementById(section.id);
  if (fresh) { section.replaceWith(fresh); section = fresh; }
  if (section.hasAttribute("data-again")) window.setTimeout(lookAgain, 3000, section);
}
document.querySelectorAll("[data-again]").forEach((section) => window.setTimeout(lookAgain, 3000, section));
