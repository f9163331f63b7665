"use strict";
// Each heading of a sortable table becomes a button that sorts by its column, and then in reverse. Empty cells are last.
(function () {
  const words = new Intl.Collator("en", { numeric: true });

  function valueOf(row, column, numeric) {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    return numeric && text !== "" ? Number(text) : text;
  }

  function sort(table, head, column) {
    const backward = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const numeric = head.dataset.sort === "number";
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => ({ row, value: valueOf(row, column, numeric) }));
    rows.sort((a, b) => {
      if (a.value === "" || b.value === "") {
        return (a.value === "") - (b.value === "");
      }
      return backward * (numeric ? a.value - b.value : words.compare(a.value, b.value));
    });
    for (const other of table.tHead.rows[0].cells) {
      other.removeAttribute("aria-sort");
    }
    head.setAttribute("aria-sort", backward === 1 ? "ascending" : "descending");
    body.append(...rows.map((each) => each.row));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, head, column));
      head.append(button);
    });
  }
})();
