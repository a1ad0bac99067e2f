"use strict";
(() => {
  const body = document.querySelector("#table tbody");
  const rows = [...body.rows];
  const search = document.querySelector("#search");
  const status = document.querySelector("#status");
  const shown = document.querySelector("#shown");
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const text = texts.get(row);
      const fits = (!status.value || row.dataset.status === status.value)
        && words.every((word) => text.includes(word));
      row.hidden = !fits;
      count += fits;
    }
    shown.textContent = count === 1 ? "1 row" : `${count} rows`;
  };
  search.addEventListener("input", filter);
  status.addEventListener("change", filter);

  const heads = [...document.querySelectorAll("#table thead th")];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = button.dataset.number === "true"
        ? (row) => parseFloat(row.cells[column].textContent) || 0
        : (row) => row.cells[column].textContent.trim().toLowerCase();
      const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
      rows.sort((a, b) => (down ? -1 : 1) * compare(value(a), value(b)));
      body.append(...rows);
    });
  });

  // On paper nobody can open anything.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((part) => { part.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((part) => { part.open = false; }));
})();
