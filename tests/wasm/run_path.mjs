// Run the scripts on CPython in WebAssembly: 32-bit, musl, no processes, another SQLite.
//
// usage: node run_path.mjs PYODIDE_DIR PROJECT_DIR OUT_DIR
// Each line of standard input is one script with its arguments, as a JSON list.  Prints the
// versions of Python and SQLite.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [pyodideDir, projectDir, outDir] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${pyodideDir}/pyodide.mjs`));
const python = await loadPyodide();
for (const [place, root] of [["/project", projectDir], ["/out", outDir]]) {
  python.FS.mkdir(place);
  python.FS.mount(python.FS.filesystems.NODEFS, { root }, place);
}
python.globals.set("commands", readFileSync(0, "utf8"));
python.runPython(`
import importlib, json, platform, sqlite3, sys
sys.path.insert(0, "/project")
sys.dont_write_bytecode = True
for command in commands.splitlines():
    script, *arguments = json.loads(command)
    status = importlib.import_module(script).main(arguments)
    if status != 0:
        raise SystemExit(f"{script} {arguments}: {status}")
print("CPython", platform.python_version(), "SQLite", sqlite3.sqlite_version)
`);
