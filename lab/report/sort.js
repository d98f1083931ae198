// A click on a heading sorts the rows of each group by that column; cells without a number are last.
const key = (cell) => {
  const text = cell?.dataset.value ?? cell?.textContent.trim() ?? "";
  if (text === "" || cell.classList.contains("none")) return null;
  const number = parseFloat(text.replaceAll(",", ""));
  return Number.isNaN(number) ? text : number;
};
const compare = (a, b) => (typeof a === typeof b ? (a < b ? -1 : Number(a > b)) : typeof a === "number" ? -1 : 1);
for (const table of document.querySelectorAll("table")) {
  const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
  heads.forEach((head, column) => {
    const sort = () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      for (const body of table.tBodies) {
        const rows = [...body.rows].filter((row) => !row.classList.contains("heading"));
        const keyed = rows.map((row) => [key(row.cells[column]), row]);
        const known = keyed.filter(([value]) => value !== null).sort(([a], [b]) => compare(a, b));
        if (down) known.reverse();
        body.append(...known.map(([, row]) => row), ...keyed.filter(([v]) => v === null).map(([, row]) => row));
      }
    };
    head.tabIndex = 0;
    head.title ||= "Sort by this column";
    head.addEventListener("click", (event) => event.target.closest("a") || sort());
    head.addEventListener("keydown", (event) => event.key === "Enter" && event.target === head && sort());
  });
}
