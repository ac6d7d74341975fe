//! Random configurations: whatever is typed, the answer is a configuration that reads back to the same, or an error.

use gabor_tensor::Stream;
use gabor_tensor::rng::op::TEST;
use gabor_train::Config;

/// Pieces that values are made of, the awkward ones among them.
const PIECES: &[&str] = &[
    "0",
    "1",
    "-1",
    "7",
    "65536",
    "1e9",
    "1e-9",
    "1e999",
    "NaN",
    "inf",
    "-0.0",
    "18446744073709551616",
    "0.5",
    "auto",
    "none",
    "true",
    "",
    " ",
    ":",
    ",",
    "*",
    "=",
    "x",
    "3x28x28",
    "0x0x0",
    "99999999999x9x9",
    "step:",
    "step:0",
    "milestones:3,1",
    "milestones:",
    "exponential:2",
    "one-cycle",
    "plateau",
    "plateau:",
    "adam",
    "lbfgs",
    "momentum",
    "l2",
    "hinge",
    "mirror",
    "rotate:1e9",
    "shift:-1",
    "scale:",
    "conv*:0.1",
    "conv*:",
    "é",
    "\u{0}",
    "\"",
    "[",
    "]",
    "#",
    "\n",
    "INPUT -> FC",
];

fn value(s: &mut Stream) -> String {
    (0..1 + s.below(3)).map(|_| PIECES[s.below(PIECES.len())]).collect()
}

/// What was accepted is written and read back unchanged; validation answers either way.
fn judge(config: &Config) {
    let mut again = Config::default();
    again.apply_toml(&config.to_toml(), "config.toml").unwrap_or_else(|e| panic!("{e} in\n{}", config.to_toml()));
    assert_eq!(again.to_toml(), config.to_toml());
    drop(config.validate());
}

#[test]
fn random_words_never_panic() {
    let mut accepted = 0;
    for case in 0..20_000 {
        let mut s = Stream::new(3, 0, case, TEST);
        let words: Vec<String> = (0..1 + s.below(3))
            .map(|_| format!("{}={}", Config::KEYS[s.below(Config::KEYS.len())].name, value(&mut s)))
            .collect();
        if let Ok(config) = Config::load(None, [], &words) {
            accepted += 1;
            judge(&config);
        }
    }
    assert!(accepted > 1000, "only {accepted} of 20,000 random configurations were accepted");
}

#[test]
fn damaged_files_never_panic() {
    let text: Vec<char> = Config::default().to_toml().chars().collect();
    for case in 0..2_000 {
        let mut s = Stream::new(4, 0, case, TEST);
        let mut damaged = text.clone();
        for _ in 0..1 + s.below(4) {
            let at = s.below(damaged.len());
            match s.below(4) {
                0 => damaged[at] = char::from(s.below(128) as u8),
                1 => drop(damaged.drain(at..(at + 1 + s.below(40)).min(damaged.len()))),
                2 => damaged.truncate(at + 1),
                _ => {
                    let piece = value(&mut s);
                    damaged.splice(at..at, piece.chars());
                }
            }
            if damaged.is_empty() {
                break;
            }
        }
        let mut config = Config::default();
        if config.apply_toml(&damaged.iter().collect::<String>(), "config.toml").is_ok() {
            judge(&config);
        }
    }
}

/// The recipes of the documentation name keys and values that there are, and networks that can be built.
#[test]
fn recipes_are_sound() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/recipes");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let config = Config::load(Some(&path), [], &[] as &[&str]).unwrap_or_else(|e| panic!("{e}"));
        config.validate().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        // A description takes its classes from the data.
        let classes = gabor_nets::zoo::Options { classes: Some(10), ..Default::default() };
        let net = gabor_nets::network(&config.net, &classes).unwrap_or_else(|e| panic!("{e}"));
        let options = config.step_options().unwrap();
        let forward = gabor_train::step::Forward::of(&net, gabor_nets::Mode::Train).unwrap();
        gabor_train::step::step(forward, &options).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        seen += 1;
    }
    assert!(seen >= 3);
}
