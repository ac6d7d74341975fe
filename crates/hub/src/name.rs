//! Names of repositories and files: `owner/name`, `owner/name@revision`, `owner/name/file`.

use crate::{Error, Kind};
use std::fmt;
use std::str::FromStr;

/// A repository at a revision, and a file of it where one is named.
///
/// ```
/// use gabor_hub::Name;
/// let n: Name = "timm/resnet18.a1_in1k@v1.0/model.safetensors".parse().unwrap();
/// assert_eq!((n.repository(), n.revision(), n.file()), ("timm/resnet18.a1_in1k", "v1.0", Some("model.safetensors")));
/// assert!("../etc/passwd".parse::<Name>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    repository: String,
    revision: String,
    file: Option<String>,
}

/// Letters, digits, `-`, `_` and `.`, not beginning or ending with a dot or dash, without `..` and `--`.
fn is_part(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    (1..=96).contains(&text.len())
        && text.chars().all(plain)
        && edge(text.chars().next())
        && edge(text.chars().last())
        && !text.contains("..")
        && !text.contains("--")
}

/// A path inside a repository that stays inside.
pub(crate) fn is_path(text: &str) -> bool {
    let fine = |p: &str| {
        !p.is_empty()
            && p != "."
            && p != ".."
            && p.len() <= 255
            && !p.chars().any(|c| c.is_control() || "\\:*?\"<>|".contains(c))
    };
    text.len() <= 1024 && text.split('/').all(fine)
}

impl Name {
    /// `owner/name`.
    pub fn repository(&self) -> &str {
        &self.repository
    }
    /// Branch, tag or commit; `main` where none is named.
    pub fn revision(&self) -> &str {
        &self.revision
    }
    /// The file, if one is named.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }
}

impl FromStr for Name {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |rule: &str| {
            let shown: String = text.chars().take(200).collect();
            Error::new(Kind::Name, shown, rule).right("OWNER/NAME, OWNER/NAME@REVISION or OWNER/NAME/FILE")
        };
        let mut parts = text.splitn(3, '/');
        let (owner, rest) = (parts.next().unwrap_or(""), parts.next());
        let (name, mut file) = (rest.ok_or_else(|| wrong("a name of the hub has an owner and a name"))?, parts.next());
        let (name, revision) = name.split_once('@').map_or((name, None), |(n, r)| (n, Some(r)));
        // `owner/name/file@revision` means the same.
        let mut revision = revision.unwrap_or("main");
        if revision == "main"
            && let Some((f, r)) = file.and_then(|f| f.rsplit_once('@'))
        {
            (file, revision) = (Some(f), r);
        }
        if !is_part(owner) || !is_part(name) {
            return Err(wrong("the name has characters that no name of the hub has"));
        }
        if !is_path(revision) || revision.len() > 255 || revision.contains(' ') {
            return Err(wrong("the revision is no branch, tag or commit"));
        }
        if file.is_some_and(|f| !is_path(f)) {
            return Err(wrong("the file's path leads out of the repository or cannot be a file's"));
        }
        Ok(Name { repository: format!("{owner}/{name}"), revision: revision.into(), file: file.map(String::from) })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if self.revision != "main" {
            write!(f, "@{}", self.revision)?;
        }
        self.file.as_ref().map_or(Ok(()), |file| write!(f, "/{file}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let parse = |t: &str| t.parse::<Name>();
        let n = parse("timm/resnet18.a1_in1k").unwrap();
        assert_eq!((n.repository(), n.revision(), n.file()), ("timm/resnet18.a1_in1k", "main", None));
        let n = parse("a/b@refs/pr/1");
        assert!(n.is_ok_and(|n| n.revision() == "refs"), "a revision of several parts needs a file after it");
        let n = parse("a/b/sub/dir/f.bin@abc").unwrap();
        assert_eq!((n.file(), n.revision()), (Some("sub/dir/f.bin"), "abc"));
        assert_eq!(n.to_string(), "a/b@abc/sub/dir/f.bin");
        for bad in [
            "resnet18",
            "",
            "/",
            "a/",
            "/b",
            "../b",
            "a/..",
            "a/b/../c",
            "a/b//c",
            "a/b/c\\d",
            "a/b@../x/y",
            "a--b/c",
            ".a/b",
            "a b/c",
            "a/b@",
            "a/b/c:d",
            "a/b/\0",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert!(
            parse("x")
                .unwrap_err()
                .to_string()
                .ends_with("right would be: OWNER/NAME, OWNER/NAME@REVISION or OWNER/NAME/FILE")
        );
    }
}
