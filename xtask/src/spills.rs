//! Register spills in hot loops: a multiply-add loop that moves vectors to and from the stack or calls a function loses most
//! of its speed, and nothing but the machine code shows it. Knows the code of x86-64 and of 64-bit Arm.

use crate::repository::Repository;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A loop with at least this many fused multiply-adds, one in `DENSITY` of its instructions, is a register tile.
const HOT: usize = 8;
const DENSITY: usize = 3;

/// The target of 64-bit Arm, and its disassembler.
const ARM: &str = "aarch64-unknown-linux-gnu";
const ARM_OBJDUMP: &str = "aarch64-linux-gnu-objdump";

/// Compiles the kernels with readable symbols, for this machine or for 64-bit Arm, disassembles them and fails on spills.
pub fn chore(r: &Repository, arm: bool) -> Result<String, String> {
    let target = r.root.join("target/spills");
    let built = Command::new("cargo")
        .args(["rustc", "--quiet", "--release", "--package", "gabor-kernels", "--target-dir"])
        .arg(&target)
        .args(if arm { &["--target", ARM][..] } else { &[] })
        .args(["--", "-C", "symbol-mangling-version=v0"])
        .current_dir(&r.root)
        .status()
        .map_err(|e| format!("cargo: {e}"))?;
    if !built.success() {
        return Err("the kernels do not compile".into());
    }
    let library = library(&if arm { target.join(ARM) } else { target })?;
    let objdump = if arm && cfg!(not(target_arch = "aarch64")) { ARM_OBJDUMP } else { "objdump" };
    let run = Command::new(objdump)
        .args(["-d", "--no-show-raw-insn"])
        .arg(&library)
        .output()
        .map_err(|e| format!("{objdump} (of binutils): {e}"))?;
    if !run.status.success() {
        return Err(format!("objdump: {}", String::from_utf8_lossy(&run.stderr)));
    }
    let text = String::from_utf8_lossy(&run.stdout);
    let (hot, found) = check(&text);
    if hot == 0 {
        return Err(format!("{}: no hot loop is found: the check would check nothing", library.display()));
    }
    match found.is_empty() {
        true => Ok(format!("{hot} hot loops, no vector register spilled")),
        false => Err(format!("{} of {hot} hot loops spill vector registers:\n{}", found.len(), found.join("\n"))),
    }
}

/// The newest optimised library of the kernels.
fn library(target: &Path) -> Result<PathBuf, String> {
    let folder = target.join("release/deps");
    let missing = |e: &dyn std::fmt::Display| format!("{}: {e}", folder.display());
    let files = std::fs::read_dir(&folder).map_err(|e| missing(&e))?;
    (files.flatten())
        .filter(|f| {
            let name = f.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libgabor_kernels-") && name.ends_with(".rlib")
        })
        .max_by_key(|f| f.metadata().and_then(|m| m.modified()).ok())
        .map(|f| f.path())
        .ok_or_else(|| missing(&"no libgabor_kernels there"))
}

/// The number of hot loops in a disassembly, and a line for each that spills.
fn check(text: &str) -> (usize, Vec<String>) {
    let (mut hot, mut found) = (0, Vec::new());
    let mut name = "";
    let mut code: Vec<(u64, &str)> = Vec::new();
    let mut finish = |name: &str, code: &[(u64, &str)]| {
        let (loops, bad) = spills(code);
        hot += loops;
        found.extend(bad.into_iter().map(|b| format!("  {}: {b}", demangled(name))));
    };
    for line in text.lines() {
        if let Some(rest) = line.strip_suffix(">:") {
            finish(name, &code);
            name = rest.split_once('<').map_or(rest, |r| r.1);
            code.clear();
        } else if let Some((address, instruction)) = line.split_once(":\t")
            && let Ok(address) = u64::from_str_radix(address.trim(), 16)
        {
            code.push((address, instruction.trim()));
        }
    }
    finish(name, &code);
    (hot, found)
}

/// Innermost loops of a function that are hot, and what the stack sees in them.
fn spills(code: &[(u64, &str)]) -> (usize, Vec<String>) {
    let at = |a: u64| code.partition_point(|c| c.0 < a);
    let mut loops: Vec<(usize, usize)> = Vec::new();
    for (i, (address, text)) in code.iter().enumerate() {
        let name = text.split_whitespace().next().unwrap_or("");
        let jump = name.starts_with('j') || name == "b" || ["b.", "cb", "tb"].iter().any(|b| name.starts_with(b));
        // The address stands before its symbol.
        let target = text.split_once(" <").and_then(|(t, _)| t.split_whitespace().last());
        let target = target.and_then(|t| u64::from_str_radix(t, 16).ok());
        if let Some(target) = target.filter(|t| jump && t <= address) {
            loops.push((at(target), i));
        }
    }
    let inner = |l: &(usize, usize)| !loops.iter().any(|o| o != l && o.0 >= l.0 && o.1 <= l.1);
    let (mut hot, mut found) = (0, Vec::new());
    for &(from, to) in loops.iter().filter(|l| inner(l)) {
        let body = &code[from..=to];
        let is_product = |t: &str| ["vfmadd", "vfnmadd", "fmla"].iter().any(|p| t.starts_with(p));
        let products = body.iter().filter(|c| is_product(c.1)).count();
        if products < HOT || products * DENSITY < body.len() {
            continue;
        }
        hot += 1;
        let x86 = |t: &str| t.contains("(%rsp") && (t.contains("%zmm") || t.contains("%ymm"));
        let arm = |t: &str| t.contains("[sp") && t.split_whitespace().nth(1).is_some_and(|o| o.starts_with('q'));
        let moves = body.iter().filter(|c| x86(c.1) || arm(c.1)).count();
        let is_call = |t: &str| matches!(t.split_whitespace().next(), Some("bl" | "blr" | "call" | "callq"));
        let calls = body.iter().filter(|c| is_call(c.1)).count();
        let at = code[from].0;
        if moves > 0 {
            found.push(format!("loop at {at:#x}: {products} multiply-adds, {moves} vectors on the stack"));
        }
        if calls > 0 {
            found.push(format!("loop at {at:#x}: {products} multiply-adds, {calls} calls"));
        }
    }
    (hot, found)
}

/// The readable part of a mangled name: its identifiers.
fn demangled(name: &str) -> String {
    let mut out = Vec::new();
    let mut rest = name;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        rest = &rest[start..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let len: usize = rest[..digits].parse().unwrap_or(0);
        let word = rest.get(digits..digits + len).unwrap_or("");
        if len > 0 && word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            out.push(word.trim_start_matches('_'));
            rest = &rest[digits + len..];
        } else {
            rest = &rest[digits..];
        }
    }
    if out.is_empty() { name.to_string() } else { out.join("::") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(extra: &str) -> String {
        let mut text = String::from("0000000000000000 <_ZN4conv4tileE>:\n   0:\txor %eax,%eax\n");
        for i in 1..10 {
            text += &format!("  {i:x}0:\tvfmadd231ps (%rdi),%zmm1,%zmm{i}\n");
        }
        text + extra + "  b0:\tjne    10 <_ZN4conv4tileE+0x10>\n  c0:\tvmovups %zmm1,0x40(%rsp)\n  d0:\tret\n"
    }

    /// A loop of 64-bit Arm.
    fn arm(extra: &str) -> String {
        let mut text = String::from("0000000000000000 <_ZN4conv4tileE>:\n   0:\tmov\tx8, xzr\n");
        for i in 1..10 {
            text += &format!("  {i:x}0:\tfmla\tv{i}.4s, v1.4s, v2.s[0]\n");
        }
        text + extra + "  b0:\tcbnz\tx8, 10 <_ZN4conv4tileE+0x10>\n  c0:\tstr\tq1, [sp, #16]\n  d0:\tret\n"
    }

    #[test]
    fn so_are_those_and_calls_of_arm() {
        assert_eq!(check(&arm("")), (1, vec![]));
        let (_, found) = check(&arm("  a0:\tldp\tq3, q4, [sp, #32]\n"));
        assert_eq!(found, ["  conv::tile: loop at 0x10: 9 multiply-adds, 1 vectors on the stack"]);
        let (_, found) = check(&arm("  a0:\tbl\t4000 <memcpy>\n"));
        assert_eq!(found, ["  conv::tile: loop at 0x10: 9 multiply-adds, 1 calls"]);
    }

    #[test]
    fn spills_inside_loops_are_found() {
        assert_eq!(check(&listing("")), (1, vec![]));
        let (hot, found) = check(&listing("  a0:\tvmovups 0x40(%rsp),%zmm3\n"));
        assert_eq!(hot, 1);
        assert_eq!(found, ["  conv::tile: loop at 0x10: 9 multiply-adds, 1 vectors on the stack"]);
    }
}
