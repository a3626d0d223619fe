// Press a heading of table.sorted: its rows stand in that order, and in the other one when pressed again.
for (const table of document.querySelectorAll("table.sorted")) table.querySelectorAll("th button").forEach((button, column) => button.onclick = () => {
  const head = button.parentElement, up = head.getAttribute("aria-sort") !== "ascending", body = table.tBodies[0];
  const value = row => row.cells[column].textContent.trim().replace(/(\d),(?=\d{3})/g, "$1").replace(/%$/, ""), number = text => text !== "" && isFinite(text);
  const rows = [...body.rows].sort((a, b) => { const [x, y] = [value(a), value(b)]; return (number(x) && number(y) ? x - y : x.localeCompare(y)) * (up ? 1 : -1) });
  table.querySelectorAll("th").forEach(one => one.removeAttribute("aria-sort")); head.setAttribute("aria-sort", up ? "ascending" : "descending"); body.append(...rows);
});
