//! The house: which crate may depend on which, and what each may do. ARCHITECTURE.md gives the reasons.

/// What most crates must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// `unsafe` code.
    Unsafe,
    /// Files and folders.
    Files,
    /// Network.
    Network,
    /// Threads.
    Threads,
    /// Environment variables and arguments.
    Environment,
    /// Processes, its own number included.
    Processes,
    /// Standard output and error.
    Print,
}

/// A crate of the workspace.
pub struct Crate {
    /// Its folder under `crates/`.
    pub folder: &'static str,
    /// Crates of the workspace that it may depend on: rows above its own.
    pub may_use: &'static [&'static str],
    /// Crates that only its tests may depend on.
    pub tests_may_use: &'static [&'static str],
    /// What it may do; its tests and examples may do everything but [`Act::Unsafe`].
    pub may: &'static [Act],
}

use Act::{Environment, Files, Network, Print, Processes, Threads, Unsafe};

/// Every crate, lowest first.
pub const CRATES: &[Crate] = &[
    Crate { folder: "tensor", may_use: &[], tests_may_use: &[], may: &[] },
    Crate { folder: "graph", may_use: &["tensor"], tests_may_use: &[], may: &[] },
    Crate { folder: "kernels", may_use: &["tensor"], tests_may_use: &[], may: &[Unsafe] },
    Crate { folder: "compile", may_use: &["tensor", "graph"], tests_may_use: &[], may: &[] },
    Crate {
        folder: "cpu",
        may_use: &["tensor", "graph", "compile", "kernels"],
        tests_may_use: &[],
        may: &[Unsafe, Threads],
    },
    Crate { folder: "nets", may_use: &["tensor", "graph"], tests_may_use: &["compile", "cpu"], may: &[] },
    Crate {
        folder: "formats",
        may_use: &["tensor", "graph"],
        tests_may_use: &["nets", "testkit", "cpu"],
        // Large arrays are decoded on all cores.
        may: &[Threads],
    },
    Crate { folder: "resize", may_use: &[], tests_may_use: &[], may: &[] },
    Crate {
        folder: "data",
        may_use: &["tensor", "resize"],
        tests_may_use: &[],
        may: &[Files, Network, Threads, Processes],
    },
    Crate {
        folder: "train",
        may_use: &["tensor", "graph", "compile", "nets", "formats", "data"],
        tests_may_use: &["cpu"],
        may: &[Files, Processes],
    },
    Crate { folder: "hub", may_use: &[], tests_may_use: &[], may: &[Files, Network, Environment, Processes] },
    Crate { folder: "report", may_use: &[], tests_may_use: &[], may: &[] },
    Crate { folder: "raster", may_use: &[], tests_may_use: &[], may: &[] },
    Crate {
        folder: "explain",
        may_use: &["tensor", "graph", "compile"],
        tests_may_use: &["cpu", "nets", "formats"],
        may: &[],
    },
    Crate { folder: "testkit", may_use: &["tensor", "graph", "compile", "cpu"], tests_may_use: &[], may: &[] },
    Crate {
        folder: "bench",
        may_use: &["tensor", "graph", "compile", "cpu", "nets", "train"],
        tests_may_use: &[],
        may: &[],
    },
    Crate {
        folder: "gabor",
        may_use: &[
            "tensor", "graph", "compile", "cpu", "nets", "formats", "data", "train", "report", "raster", "explain",
            "hub",
        ],
        tests_may_use: &[],
        may: &[Files],
    },
    Crate {
        folder: "cli",
        may_use: &["gabor", "bench"],
        tests_may_use: &[],
        may: &[Files, Threads, Environment, Processes, Print],
    },
];

/// The row of a crate.
pub fn row(folder: &str) -> Option<&'static Crate> {
    CRATES.iter().find(|c| c.folder == folder)
}

/// The folder of a package of the workspace: `gabor-graph` lies in `graph`, `gabor` in `gabor`.
pub fn folder_of(package: &str) -> &str {
    package.strip_prefix("gabor-").unwrap_or(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_point_upwards_in_the_table() {
        for (i, c) in CRATES.iter().enumerate() {
            for d in c.may_use {
                assert!(CRATES[..i].iter().any(|above| above.folder == *d), "{} may use {d}", c.folder);
            }
            for d in c.tests_may_use {
                assert!(row(d).is_some(), "{} may use {d} in tests", c.folder);
            }
        }
    }
}
