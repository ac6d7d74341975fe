//! The gallery of the documentation: pictures of real networks, made by the commands that it shows.

use crate::repository::Repository;
use std::path::Path;
use std::process::Command;
use toml::{Table, Value};

/// What is shown, and by which commands.
const LIST: &str = "docs/gallery.toml";
/// The page.
const PAGE: &str = "docs/gallery.md";
/// Where its pictures lie.
const FOLDER: &str = "docs/gallery";
/// What stands for the folder of the data in a command.
const DATA: &str = "DATA";

/// The chore: builds the command, runs every line of the list whose heading holds `word`, and writes the page.
///
/// # Errors
/// A list that cannot be read, a command that fails, data that is not there.
pub fn chore(repository: &Repository, data: &str, word: &str) -> Result<String, String> {
    let list: Table = repository.read(LIST)?.parse().map_err(|e| format!("{LIST}: {e}"))?;
    let data = repository.root.join(data).canonicalize().map_err(|e| format!("{data}: {e}"))?;
    repository.cargo(&["build", "--release", "-p", "gabor-cli"])?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.root.join("target"), Into::into);
    let work = target.join("gallery");
    std::fs::create_dir_all(&work).map_err(|e| format!("{}: {e}", work.display()))?;
    let place = Place { command: target.join("release/gabor"), work: &work, data: &data };
    let made = repository.root.join(FOLDER);
    std::fs::create_dir_all(&made).map_err(|e| format!("{FOLDER}: {e}"))?;
    for words in array(&list, "setup")? {
        place.run(&strings(words, "setup")?)?;
    }
    let mut done = Vec::new();
    for picture in array(&list, "picture")? {
        let picture = Picture::read(picture)?;
        if !picture.title.to_lowercase().contains(&word.to_lowercase()) {
            continue;
        }
        place.run(&picture.command)?;
        let to = made.join(picture.file);
        std::fs::copy(work.join(picture.file), &to).map_err(|e| format!("{}: {e}", to.display()))?;
        done.push(format!("made {FOLDER}/{}", picture.file));
    }
    std::fs::write(repository.root.join(PAGE), page(&list)?).map_err(|e| format!("{PAGE}: {e}"))?;
    done.push(format!("wrote {PAGE}"));
    Ok(done.join("\n"))
}

/// Where commands run.
struct Place<'a> {
    command: std::path::PathBuf,
    work: &'a Path,
    data: &'a Path,
}

impl Place<'_> {
    fn run(&self, words: &[&str]) -> Result<(), String> {
        let data = self.data.display().to_string();
        let words = words.iter().map(|w| if w.starts_with(DATA) { w.replacen(DATA, &data, 1) } else { w.to_string() });
        let mut command = Command::new(&self.command);
        command.args(words).current_dir(self.work);
        let out = command.output().map_err(|e| format!("{}: {e}", self.command.display()))?;
        let failed = || format!("{command:?}: {}", String::from_utf8_lossy(&out.stderr).trim());
        if out.status.success() { Ok(()) } else { Err(failed()) }
    }
}

/// One picture of the list.
struct Picture<'a> {
    title: &'a str,
    words: &'a str,
    file: &'a str,
    command: Vec<&'a str>,
}

impl<'a> Picture<'a> {
    fn read(v: &'a Value) -> Result<Self, String> {
        let text = |key: &str| v.get(key).and_then(Value::as_str).ok_or(format!("{LIST}: a picture without `{key}`"));
        let command = v.get("command").ok_or(format!("{LIST}: a picture without `command`"))?;
        Ok(Picture {
            title: text("title")?,
            words: text("words")?,
            file: text("file")?,
            command: strings(command, "command")?,
        })
    }
}

fn array<'a>(list: &'a Table, key: &str) -> Result<&'a Vec<Value>, String> {
    list.get(key).and_then(Value::as_array).ok_or(format!("{LIST}: no list `{key}`"))
}

fn strings<'a>(v: &'a Value, key: &str) -> Result<Vec<&'a str>, String> {
    let all = v.as_array().and_then(|a| a.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    all.ok_or(format!("{LIST}: `{key}` is no list of words"))
}

/// The page as Markdown.
fn page(list: &Table) -> Result<String, String> {
    let intro = list.get("intro").and_then(Value::as_str).ok_or(format!("{LIST}: no `intro`"))?;
    let mut out = format!("# Gallery\n\n{}\n", intro.trim());
    out += "\nThe models are made by\n\n```sh\n";
    for words in array(list, "setup")? {
        out += &shown(&strings(words, "setup")?);
    }
    out += "```\n";
    for picture in array(list, "picture")? {
        let p = Picture::read(picture)?;
        let folder = FOLDER.trim_start_matches("docs/");
        out += &format!(
            "\n## {}\n\n{}\n\n```sh\n{}```\n\n![{}]({folder}/{})\n",
            p.title,
            p.words.trim(),
            shown(&p.command),
            p.title,
            p.file
        );
    }
    Ok(out)
}

/// A command as one types it.
fn shown(words: &[&str]) -> String {
    let quoted = words.iter().map(|w| if w.contains([' ', '[', '*']) { format!("'{w}'") } else { w.to_string() });
    format!("gabor {}\n", quoted.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_what_the_list_holds() {
        let repository = Repository::find().unwrap();
        let list: Table = repository.read(LIST).unwrap().parse().unwrap();
        assert_eq!(repository.read(PAGE).unwrap(), page(&list).unwrap(), "right would be: cargo xtask gallery");
        for picture in array(&list, "picture").unwrap() {
            let file = format!("{FOLDER}/{}", Picture::read(picture).unwrap().file);
            assert!(repository.has(&file), "{file} is not there");
        }
    }
    #[test]
    fn commands_are_shown_as_typed() {
        assert_eq!(shown(&["filter", "a.jpg", "--kernel", "[[-1, 1]]"]), "gabor filter a.jpg --kernel '[[-1, 1]]'\n");
    }
}
