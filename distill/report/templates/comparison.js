"use strict";
// Without this script the page loses nothing but the sorting of tables and two buttons.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const numbers = !head.classList.contains("name");
      const order = head.getAttribute("aria-sort") ?? (numbers ? "ascending" : "descending");
      const sign = order === "ascending" ? -1 : 1;
      const key = row => row.cells[column].dataset.sort ?? row.cells[column].textContent;
      const compare = (one, other) => {
        if (!numbers) return sign * key(one).localeCompare(key(other), "en", { numeric: true });
        const [a, b] = [Number(key(one)), Number(key(other))];
        // what is not defined stands last in either order
        return Number.isNaN(a) || Number.isNaN(b) ? Number.isNaN(a) - Number.isNaN(b) : sign * (a === b ? 0 : a - b);
      };
      const rows = [...body.rows].sort(compare);
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign < 0 ? "descending" : "ascending");
      body.append(...rows);
    });
  });
}
for (const tools of document.querySelectorAll(".tools")) {
  for (const [label, open] of [["Open all", true], ["Close all", false]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", () => tools.parentElement.querySelectorAll("details.query").forEach(one => { one.open = open; }));
    tools.append(button, " ");
  }
}
