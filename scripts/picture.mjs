// Draws what a terminal showed of the demo, with its colours, as an SVG; the
// explaining paragraphs are left out: picture.mjs TYPESCRIPT
import { readFileSync } from "node:fs";

const colours = { 31: "#ff7b72", 32: "#7ee787", 36: "#79c0ff" };
const [width, line, size, margin] = [80, 18, 14, 16];
const letter = size * 0.602; // of a monospaced font

const raw = readFileSync(process.argv[2], "utf8");
const lines = raw
  .split(/\r?\n/)
  .filter((l) => !l.startsWith("Script started") && !l.startsWith("Script done"))
  .filter((l) => !/^ {10}[^\s\x1b]/.test(l)); // a paragraph; what was checked begins with a colour
while (lines.length && !lines.at(-1).trim()) lines.pop();
while (lines.length && !lines[0].trim()) lines.shift();

const escape = (s) => s.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

// A line becomes pieces of one look each.
function pieces(text) {
  const out = [];
  let look = { fill: "#c9d1d9", weight: "", opacity: "" };
  for (const part of text.split(/(\x1b\[[0-9;]*m)/)) {
    const code = part.match(/^\x1b\[([0-9;]*)m$/)?.[1];
    if (code === undefined) {
      if (part) out.push({ text: part, ...look });
    } else if (code === "" || code === "0") look = { fill: "#c9d1d9", weight: "", opacity: "" };
    else if (code === "1") look = { ...look, weight: "bold", fill: "#ffffff" };
    else if (code === "2") look = { ...look, opacity: "0.6" };
    else look = { ...look, fill: colours[code] ?? look.fill };
  }
  return out;
}

const w = Math.round(width * letter + 2 * margin);
const h = lines.length * line + 2 * margin;
const body = lines.map((text, i) => {
  let column = 0;
  const spans = pieces(text).map((p) => {
    const lead = p.text.length - p.text.trimStart().length;
    const x = margin + (column + lead) * letter;
    column += p.text.length;
    const shown = p.text.trim();
    if (!shown) return "";
    const attributes = [
      `x="${x.toFixed(1)}"`,
      `fill="${p.fill}"`,
      p.weight && `font-weight="${p.weight}"`,
      p.opacity && `opacity="${p.opacity}"`,
      `textLength="${(shown.length * letter).toFixed(1)}"`,
    ].filter(Boolean);
    return `<tspan ${attributes.join(" ")}>${escape(shown)}</tspan>`;
  });
  return spans.join("") ? `<text y="${margin + (i + 1) * line - 5}">${spans.join("")}</text>` : "";
});

console.log(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${w} ${h}" width="${w}" height="${h}" role="img" aria-label="What aloud demo prints">
<rect width="${w}" height="${h}" rx="8" fill="#0d1117"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${size}" xml:space="preserve">
${body.filter(Boolean).join("\n")}
</g>
</svg>`);
