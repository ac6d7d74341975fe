//! How much memory there is: the machine's, and what a control group allows.

use std::path::{Path, PathBuf};

/// Bytes that may still be used, and who sets the limit; `None` where the system does not say (only Linux does).
pub fn available() -> Option<(u64, &'static str)> {
    let machine = field(&read("/proc/meminfo")?, "MemAvailable:").map(|b| (b, "the machine"));
    let group = groups().into_iter().flat_map(|g| free_in(&g)).min().map(|b| (b, "the control group"));
    machine.into_iter().chain(group).min()
}

/// Bytes of this process that lie in memory now.
pub(crate) fn resident() -> Option<u64> {
    field(&read("/proc/self/status")?, "VmRSS:")
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// A field of `NAME:  NUMBER kB`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Folders of this process's control group and of all above it, of both versions.
fn groups() -> Vec<PathBuf> {
    let Some(text) = read("/proc/self/cgroup") else { return Vec::new() };
    let mut all = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(kinds), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let root = match kinds {
            "" => Path::new("/sys/fs/cgroup"),
            k if k.split(',').any(|k| k == "memory") => Path::new("/sys/fs/cgroup/memory"),
            _ => continue,
        };
        let mut folder = root.join(path.trim_start_matches('/'));
        loop {
            all.push(folder.clone());
            if folder == root || !folder.pop() {
                break;
            }
        }
    }
    all
}

/// What is left in a control group; memory that only holds files can be had back.
fn free_in(group: &Path) -> Option<u64> {
    let number = |name: &str| std::fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    let (limit, used) = match number("memory.max") {
        Some(limit) => (limit, number("memory.current")?),
        None => (number("memory.limit_in_bytes")?, number("memory.usage_in_bytes")?),
    };
    let files = std::fs::read_to_string(group.join("memory.stat")).ok().and_then(|t| {
        let line = t.lines().find_map(|l| l.strip_prefix("inactive_file "))?;
        line.trim().parse::<u64>().ok()
    });
    // Version 1 writes a number beyond any machine where there is no limit.
    (limit < 1 << 60).then(|| limit.saturating_sub(used.saturating_sub(files.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_as_the_kernel_writes_them() {
        let dir = std::env::temp_dir().join(format!("gabor-cgroup-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
        assert_eq!(free_in(&dir), None);
        write("memory.limit_in_bytes", "9223372036854771712\n");
        write("memory.usage_in_bytes", "1000\n");
        assert_eq!(free_in(&dir), None);
        write("memory.max", "max\n");
        assert_eq!(free_in(&dir), None);
        write("memory.max", "5000\n");
        write("memory.current", "3000\n");
        assert_eq!(free_in(&dir), Some(2000));
        write("memory.stat", "anon 1\ninactive_file 500\n");
        assert_eq!(free_in(&dir), Some(2500));
        write("memory.current", "9000\n");
        assert_eq!(free_in(&dir), Some(0));
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(field("MemTotal: 5 kB\nMemAvailable:   12 kB\n", "MemAvailable:"), Some(12 * 1024));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_says() {
        let (free, _) = available().unwrap();
        assert!(free > 1 << 20 && resident().unwrap() > 1 << 20);
    }
}
