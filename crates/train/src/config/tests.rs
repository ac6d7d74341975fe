//! Settings from files, words and the environment.

use super::*;

fn error(words: &[&str]) -> String {
    Config::load(None, [], words).and_then(|c| c.validate()).unwrap_err().to_string()
}

#[test]
fn layers_and_round_trip() {
    let mut c = Config::default();
    c.apply_toml("epochs = 7\nfreeze = [\"conv*\", \"bn1.*\"]\nlr = 0.5\nschedule = \"step:3\"", "x.toml").unwrap();
    let env = [("GABOR_LR".to_string(), "0.25".to_string()), ("PATH".to_string(), "/bin".to_string())];
    for (name, value) in env.iter().filter(|(n, _)| n.starts_with("GABOR_")) {
        c.set(&name[6..].to_lowercase(), value).unwrap();
    }
    c.apply(&["lr=0.125", "augment=handwriting,rotate:15", "net=INPUT 1x28x28 -> [CONV3-8 -> RELU]*2 -> FC-10"])
        .unwrap();
    assert_eq!((c.epochs.0, c.lr.0, c.freeze.len()), (Some(7), Some(0.125), 2));
    let mut again = Config::default();
    again.apply_toml(&c.to_toml(), "config.toml").unwrap();
    assert_eq!(again, c);
    let mut plain = Config::default();
    plain.apply_toml(&Config::default().to_toml(), "config.toml").unwrap();
    assert_eq!(plain, Config::default());
    Config::default().validate().unwrap();
}

/// Random text, much of it close to what is right, never panics, and what is accepted reads back to the same.
#[test]
fn any_text_is_answered() {
    const PIECES: &[&str] = &[
        "epochs",
        "=",
        "3",
        "-1",
        "1e400",
        "NaN",
        "inf",
        "none",
        "auto",
        "\n",
        "\"",
        "[",
        "]",
        ",",
        ":",
        "+",
        "step",
        "warmup",
        "cosine",
        "milestones",
        "conv*",
        "0.1",
        "x",
        "×",
        "3x8x8",
        "lr",
        "schedule",
        "augment",
        "rotate",
        "mirror",
        "#",
        "'",
        "18446744073709551616",
        "é",
        "freeze",
        "input",
        "lr_factors",
        "\u{0}",
        "plateau",
        "one-cycle",
        " ",
    ];
    let mut stream = gabor_tensor::Stream::new(11, 0, 0, gabor_tensor::rng::op::TEST);
    let mut accepted = 0;
    for _ in 0..20_000 {
        let text: String = (0..1 + stream.below(6)).map(|_| PIECES[stream.below(PIECES.len())]).collect();
        let _ = text.parse::<Schedule>();
        let _ = parse_augmentation(&text);
        let mut c = Config::default();
        let _ = c.apply_toml(&text, "text");
        let key = Config::KEYS[stream.below(Config::KEYS.len())].name;
        if c.set(key, &text).is_ok() {
            let _ = c.validate();
            let mut again = Config::default();
            again.apply_toml(&c.to_toml(), "again").unwrap();
            assert_eq!(again, c, "{key} = {text}");
            accepted += 1;
        }
    }
    assert!(accepted > 500, "{accepted}");
}

#[test]
fn mistakes_say_where_and_what_is_right() {
    for (words, parts) in [
        (vec!["epoch=3"], vec!["argument `epoch=3`", "no key `epoch`", "`epochs`"]),
        (vec!["epochs"], vec!["argument `epochs`", "key=value"]),
        (vec!["epochs=0"], vec!["out of bounds", "1 to 100000"]),
        (vec!["epochs=many"], vec!["`many` cannot be read", "whole number"]),
        (vec!["lr=NaN"], vec!["`NaN` cannot be read"]),
        (vec!["optimiser=adma"], vec!["key `optimiser`", "`adam`"]),
        (vec!["optimiser=adam", "momentum=0.5"], vec!["`adam` has no momentum"]),
        (vec!["loss=crossentropy"], vec!["key `loss`", "`cross_entropy`"]),
        (vec!["loss=l2", "label_smoothing=0.1"], vec!["`l2` with a label smoothing"]),
        (vec!["schedule=cosin"], vec!["argument `schedule=cosin`", "`cosine`"]),
        (vec!["augment=mirrors"], vec!["no augmentation is called `mirrors`", "`mirror`"]),
        (vec!["lr_factors=conv*"], vec!["PATTERN:FACTOR"]),
        (vec!["grad_accum=65", "batch=64"], vec!["a batch of 64 in 65 parts"]),
        (vec!["schedule=plateau", "val=0"], vec!["plateau needs a validation part"]),
        (vec!["patience=3", "val=0"], vec!["patience needs"]),
        (vec!["init=hee"], vec!["key `init`", "he"]),
        (vec!["input=3x0x2"], vec!["3x224x224"]),
    ] {
        let e = error(&words);
        assert!(parts.iter().all(|p| e.contains(p)), "{words:?}: {e}");
    }
    let mut c = Config::default();
    let e = c.apply_toml("epochs = 3\nlr = = 2", "a.toml").unwrap_err().to_string();
    assert!(e.starts_with("a.toml, line 2: "), "{e}");
    let e = c.apply_toml("[train]\nlr = 2", "a.toml").unwrap_err().to_string();
    assert!(e.starts_with("a.toml, key `train`: a date or a table"), "{e}");
    let e = parse_augmentation("mirrors").unwrap_err().to_string();
    assert!(e.contains("`mirror`"), "{e}");
    assert!(parse_augmentation("rotate:400").is_err() && parse_augmentation("rotate:").is_err());
    assert!(parse_augmentation("mirror:2").is_err() && parse_augmentation("").unwrap().is_off());
}
