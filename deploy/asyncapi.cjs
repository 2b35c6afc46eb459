// Reads an AsyncAPI document with the official parser; prints what is wrong with it. Run by deploy/lint.py.

const { readFileSync } = require("node:fs");
const { Parser } = require("@asyncapi/parser");

const WARNING = 1; // 0 is an error; 2 and 3 are advice, such as that a newer version of AsyncAPI exists

async function main(path) {
  const { document, diagnostics } = await new Parser().parse(readFileSync(path, "utf8"), { source: path });
  const wrong = diagnostics.filter((diagnostic) => diagnostic.severity <= WARNING);
  for (const { path: field, message, range } of wrong) {
    console.log(`${path}:${range.start.line + 1}: ${field.join(".")}: ${message}`);
  }
  return document && wrong.length === 0 ? 0 : 1;
}

main(process.argv[2]).then((status) => process.exit(status));
