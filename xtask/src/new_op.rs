//! The skeleton of a new operation: its file and its rows.

use crate::repository::Repository;
use crate::tidy;

/// The chore.
///
/// # Errors
/// A name that is no name or is taken, or a file that cannot be written.
pub fn chore(repository: &Repository, name: &str) -> Result<String, String> {
    let folder = tidy::OPERATIONS;
    let file = format!("{folder}/{name}.rs");
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !plain {
        return Err(format!("`{name}`: a name is written like hard_tanh"));
    }
    if repository.root.join(&file).exists() {
        return Err(format!("{file} exists"));
    }
    let kind = camel(name);
    let registry = format!("{folder}/mod.rs");
    let rows = with_rows(&repository.read(&registry)?, name, &kind)?;
    write(repository, &file, &skeleton(name, &kind))?;
    write(repository, &registry, &rows)?;
    Ok(format!(
        "{file}: y = x · x for now; write the formula, the rule and the samples\n{registry}: three rows\n\
         Then: cargo test -p gabor-graph && cargo test -p gabor-testkit"
    ))
}

fn write(repository: &Repository, file: &str, text: &str) -> Result<(), String> {
    std::fs::write(repository.root.join(file), text).map_err(|e| format!("{file}: {e}"))
}

/// `hard_tanh` is `HardTanh`.
fn camel(name: &str) -> String {
    let capital = |w: &str| w[..1].to_uppercase() + &w[1..];
    name.split('_').filter(|w| !w.is_empty()).map(capital).collect()
}

/// The registry with `mod`, `pub use` in their alphabetical places and a last row in the list.
fn with_rows(registry: &str, name: &str, kind: &str) -> Result<String, String> {
    let mut lines: Vec<String> = registry.lines().map(String::from).collect();
    insert_sorted(&mut lines, "mod ", format!("mod {name};"))?;
    insert_sorted(&mut lines, "pub use ", format!("pub use {name}::{kind};"))?;
    let last = lines.iter().rposition(|l| l.contains("OperationSpec::of::<")).ok_or("the registry has no rows")?;
    let indent = lines[last].len() - lines[last].trim_start().len();
    let row = format!("{}OperationSpec::of::<{kind}>(),", " ".repeat(indent));
    lines.insert(last + 1, row);
    Ok(lines.join("\n") + "\n")
}

fn insert_sorted(lines: &mut Vec<String>, prefix: &str, line: String) -> Result<(), String> {
    let rows: Vec<usize> = (0..lines.len()).filter(|&i| lines[i].starts_with(prefix)).collect();
    let last = *rows.last().ok_or(format!("the registry has no line `{prefix}…`"))?;
    let at = rows.into_iter().find(|&i| lines[i] > line).unwrap_or(last + 1);
    lines.insert(at, line);
    Ok(())
}

fn skeleton(name: &str, kind: &str) -> String {
    let words = name.replace('_', " ");
    format!(
        r#"//! {words}: one sentence.

use super::want_type;
use crate::{{Error, Graph, Operation, Problem, Result, ValueId, ValueType, operation}};
use gabor_tensor::{{DType, Rule}};

operation! {{
    /// y = x · x: the formula.
    ///
    /// Shapes: x and y are equal. Elsewhere: where others differ. Source: lecture or paper.
    pub struct {kind}("{name}", ["x"]) {{}}
}}

impl Operation for {kind} {{
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {{
        want_type("x", &inputs[0], DType::F32)?;
        Ok(vec![inputs[0].clone()])
    }}
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {{
        Some(g.mul(inputs[0], inputs[0]).map(|y| vec![y]))
    }}
    fn samples() -> Vec<Problem> {{
        vec![Problem::new({kind} {{}}).f32("nx3x5")]
    }}
}}

impl Graph {{
    /// y = x · x.
    ///
    /// # Errors
    /// A value that is not of 32-bit floats.
    pub fn {name}(&mut self, x: ValueId) -> Result<ValueId> {{
        self.add_one({kind} {{}}, &[x])
    }}
}}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_to_their_places() {
        let registry = "mod a;\nmod c;\n\npub use a::A;\npub use c::C;\n\n    const ALL: &[S] = &[\n        \
                        OperationSpec::of::<A>(),\n        OperationSpec::of::<C>(),\n    ];\n";
        let rows = with_rows(registry, "b_x", "BX").unwrap();
        assert!(rows.contains("mod a;\nmod b_x;\nmod c;\n"), "{rows}");
        assert!(rows.contains("pub use a::A;\npub use b_x::BX;\npub use c::C;\n"), "{rows}");
        assert!(rows.contains("of::<C>(),\n        OperationSpec::of::<BX>(),\n    ];"), "{rows}");
    }

    #[test]
    fn names_of_types() {
        assert_eq!(camel("hard_tanh"), "HardTanh");
        assert_eq!(camel("conv2"), "Conv2");
    }
}
