"use strict";

// Tables sort by a click on a header. Without this script they are plain tables.
for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    header.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const falling = header.getAttribute("aria-sort") === "ascending";
      for (const other of headers) other.setAttribute("aria-sort", "none");
      header.setAttribute("aria-sort", falling ? "descending" : "ascending");
      sort(table, column, falling ? -1 : 1);
    });
  });
}

function sort(table, column, direction) {
  const key = (row) => {
    const cell = row.cells[column];
    const value = cell.dataset.value;
    if (value === undefined) return cell.textContent.trim();
    return value === "" ? null : Number(value);
  };
  const compare = (a, b) =>
    typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
  for (const body of table.tBodies) {
    const rows = [...body.rows].map((row) => [key(row), row]);
    const present = rows.filter(([value]) => value !== null && value !== "\u2013");
    const absent = rows.filter(([value]) => value === null || value === "\u2013");
    present.sort(([a], [b]) => direction * compare(a, b));
    body.append(...[...present, ...absent].map(([, row]) => row));
  }
}

// A gallery's controls set variables that the style of all its cards reads.
for (const gallery of document.querySelectorAll(".gallery")) {
  for (const box of gallery.querySelectorAll("input[data-shows]")) {
    const apply = () =>
      gallery.style.setProperty(`--${box.dataset.shows}`, box.checked ? "visible" : "hidden");
    box.addEventListener("change", apply);
    apply(); // a browser may restore the controls of an earlier visit
  }
  for (const slider of gallery.querySelectorAll("input[data-fades]")) {
    const output = slider.parentElement.querySelector("output");
    const apply = () => {
      gallery.style.setProperty("--fade", String(slider.value / 100));
      output.value = `${slider.value} %`;
    };
    slider.addEventListener("input", apply);
    apply();
  }
}
