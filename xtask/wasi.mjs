// Runs a WebAssembly module of the target wasm32-wasip1 under Node: `node wasi.mjs MODULE ARGUMENTS…`, with the current
// folder as the module's. Cargo calls it as the runner of that target; see isa.rs.
import { readFile } from "node:fs/promises";
import { argv, cwd, env, exit } from "node:process";
import { WASI } from "node:wasi";

const wasi = new WASI({ version: "preview1", args: argv.slice(2), env, preopens: { "/": "/", ".": cwd() } });
const module = await WebAssembly.compile(await readFile(argv[2]));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
exit(wasi.start(instance) ?? 0);
