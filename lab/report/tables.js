// Tables: sorted by a click on a heading, saved as CSV, notes of numbers, and commands to copy.
const key = (cell) => {
  const text = cell?.dataset.value ?? cell?.textContent.trim() ?? "";
  if (text === "" || cell.classList.contains("none")) return null;
  const number = parseFloat(text.replaceAll(",", ""));
  return Number.isNaN(number) ? text : number;
};
const compare = (a, b) => (typeof a === typeof b ? (a < b ? -1 : Number(a > b)) : typeof a === "number" ? -1 : 1);

// Rows of each group, cells without a number last.
const sortRows = (table, column, isDown) => {
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("heading"));
    const keyed = rows.map((row) => [key(row.cells[column]), row]);
    const known = keyed.filter(([value]) => value !== null).sort(([a], [b]) => compare(a, b));
    if (isDown) known.reverse();
    body.append(...known.map(([, row]) => row), ...keyed.filter(([v]) => v === null).map(([, row]) => row));
  }
};

// Value, interval and note of a number are columns of their own, so that a program can read them.
const csv = (table) => {
  const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
  const text = (cell) => {
    const copy = cell.cloneNode(true);
    copy.querySelectorAll("small, button").forEach((part) => part.remove());
    return copy.textContent.trim().replace(/\s+/g, " ");
  };
  const heads = [...table.tHead.rows[0].cells].map(text);
  const lines = [["group", "label", ...heads.flatMap((h) => [h, `${h}: interval`, `${h}: note`])]];
  for (const body of table.tBodies) {
    const group = body.querySelector("tr.heading")?.textContent.trim() ?? "";
    for (const row of body.querySelectorAll("tr:not(.heading)")) {
      const parts = [...row.cells].flatMap((c) => [
        c.dataset.value ?? text(c),
        [...c.querySelectorAll("small")].map((small) => small.textContent.trim()).join("; "),
        c.tagName === "TD" ? c.title : "",
      ]);
      lines.push([group, row.dataset.label ?? "", ...parts]);
    }
  }
  return lines.map((line) => line.map(quoted).join(",")).join("\r\n");
};

[...document.querySelectorAll("table")].forEach((table, number) => {
  const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
  if (!heads.length) return;
  const name = `${table.closest("section").id}-${number}`;
  const link = document.createElement("a");
  link.textContent = "CSV";
  link.className = "csv";
  link.download = `${name}.csv`;
  link.href = "#";
  // Made at the click: texts of all tables would double the memory of the page.
  link.addEventListener("click", () => {
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(new Blob([csv(table)], { type: "text/csv" }));
  });
  table.closest(".scroll").after(link);

  const sorting = `sort-${name}`;
  let shown = "";
  redraws.push(() => {
    const order = choices.get(sorting) ?? "";
    if (order === shown) return;
    shown = order;
    const [column, direction] = order.split("-");
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    if (!heads[column]) return;
    heads[column].setAttribute("aria-sort", direction === "down" ? "descending" : "ascending");
    sortRows(table, Number(column), direction === "down");
  });
  heads.forEach((head, column) => {
    const sort = () => choose(sorting, `${column}-${choices.get(sorting) === `${column}-up` ? "down" : "up"}`);
    head.tabIndex = 0;
    head.title ||= "Sort by this column";
    head.addEventListener("click", (event) => event.target.closest("a") || sort());
    head.addEventListener("keydown", (event) => event.key === "Enter" && event.target === head && sort());
  });
});

// A phone has no pointer to hold over a number, so a tap shows its note at the bottom.
const note = document.getElementById("note");
document.addEventListener("click", (event) => {
  note.textContent = event.target.closest("td[title], tbody th[title]")?.title ?? "";
});

for (const row of document.querySelectorAll("tr[data-trial]")) {
  const command = `lab reproduce ${row.dataset.trial}`;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "copy";
  button.title = command;
  button.setAttribute("aria-label", `Copy: ${command}`);
  button.addEventListener("click", async (event) => {
    event.stopPropagation();
    try {
      await navigator.clipboard.writeText(command);
      note.textContent = `Copied: ${command}`;
    } catch {
      // Without permission to write, the command is shown, to be copied by hand.
      note.textContent = command;
    }
  });
  row.cells[0].append(button);
}
