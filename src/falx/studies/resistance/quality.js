// Save the decisions as they stand on the page, beside what was measured.
document.getElementById("save-decisions").addEventListener("click", () => {
  const clean = (value) => (value === null || value === "" ? "n/a" : String(value).replace(/\s+/g, " "));
  const lines = [QUALITY.columns.join("\t")];
  document.querySelectorAll("#decisions tbody tr").forEach((row, n) => {
    const [box, why] = row.querySelectorAll("input");
    const cells = [...QUALITY.rows[n]];
    cells[QUALITY.columns.indexOf("include")] = box.checked ? "yes" : "no";
    cells[QUALITY.columns.indexOf("reason")] = box.checked ? "" : why.value.trim();
    lines.push(cells.map(clean).join("\t"));
  });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/tab-separated-values" }));
  link.download = "decisions.tsv";
  link.click();
  URL.revokeObjectURL(link.href);
});
