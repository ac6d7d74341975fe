//! Einstein's summation over any number of values: two at a time, each pair as one product of stacks of matrices.

use super::Row;
use super::op::{Fail, Op, product};
use super::rounding::float;
use gabor_graph::ValueId;
use gabor_tensor::{Dim, Reduction, Rule, Shape, Tensor};

pub(super) const ROWS: &[(&str, Row)] = &[("Einsum", einsum)];

/// A value with the letter of each axis. Axes under an ellipsis have the letters '0', '1', … counted from the right.
struct Term {
    value: ValueId,
    letters: Vec<char>,
}

fn einsum(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let text: String = o.a.text("equation")?.unwrap_or("").chars().filter(|c| !c.is_whitespace()).collect();
    let wrong = |why: &str| Rule::new(format!("equation {text:?}: {why}"));
    let (left, right) = match text.split_once("->") {
        Some((l, r)) => (l.to_string(), Some(r.to_string())),
        None => (text.clone(), None),
    };
    let parts: Vec<&str> = left.split(',').collect();
    if parts.len() != o.inputs() {
        return Err(wrong(&format!("{} terms for {} inputs", parts.len(), o.inputs())).into());
    }
    let mut terms = Vec::new();
    let mut dots = 0;
    for (i, part) in parts.iter().enumerate() {
        let value = o.x(i)?;
        let value = float(o.g(), value)?;
        let rank = o.shape(value).rank();
        let letters = letters(part, Some(rank)).map_err(|w| wrong(&w))?;
        dots = dots.max(letters.iter().filter(|c| c.is_ascii_digit()).count());
        let mut term = Term { value, letters };
        diagonals(o, &mut term)?;
        terms.push(term);
    }
    let output = match right {
        Some(r) => letters_of_output(&r, dots).map_err(|w| wrong(&w))?,
        // Without an output: what stands under the ellipsis, and letters that occur once in all, in order.
        None => {
            let plain: Vec<char> = left.chars().filter(|c| c.is_ascii_alphabetic()).collect();
            let mut once: Vec<char> =
                plain.iter().copied().filter(|c| plain.iter().filter(|d| *d == c).count() == 1).collect();
            once.sort_unstable();
            ellipsis(dots).into_iter().chain(once).collect()
        }
    };
    let known = |c: &char| terms.iter().any(|t| t.letters.contains(c));
    if !output.iter().all(known) || (1..output.len()).any(|i| output[..i].contains(&output[i])) {
        return Err(wrong("letters of the output that no input has, or twice").into());
    }
    let mut terms = terms.into_iter();
    let Some(mut sum) = terms.next() else { return Err(wrong("no terms").into()) };
    let rest: Vec<Term> = terms.collect();
    for (i, other) in rest.iter().enumerate() {
        let later: Vec<char> =
            output.iter().copied().chain(rest[i + 1..].iter().flat_map(|t| t.letters.clone())).collect();
        sum = pair(o, &sum, other, &later)?;
    }
    let y = arranged(o, &sum, &output)?;
    o.set(0, y)
}

fn ellipsis(n: usize) -> Vec<char> {
    (0..n).rev().map(|i| char::from(b'0' + i as u8)).collect()
}

/// One letter per axis.
fn letters(part: &str, rank: Option<usize>) -> Result<Vec<char>, String> {
    let (before, after) = part.split_once("...").unwrap_or((part, ""));
    if !before.chars().chain(after.chars()).all(|c| c.is_ascii_alphabetic()) {
        return Err(format!("{part:?} has other characters than letters and one ellipsis"));
    }
    let given = before.len() + after.len();
    let hidden = match (part.contains("..."), rank) {
        (true, Some(r)) if r >= given && r - given <= 8 => r - given,
        (false, Some(r)) if r != given => return Err(format!("{part:?} for a value of {r} axes")),
        (true, _) => return Err(format!("{part:?} for a value of {} axes", rank.unwrap_or(0))),
        (false, _) => 0,
    };
    Ok(before.chars().chain(ellipsis(hidden)).chain(after.chars()).collect())
}

fn letters_of_output(text: &str, dots: usize) -> Result<Vec<char>, String> {
    let given = text.replace("...", "").len();
    let rank = given + if text.contains("...") { dots } else { 0 };
    letters(text, Some(rank))
}

/// A letter that a term has twice stands for the diagonal of two axes.
fn diagonals(o: &mut Op<'_, '_>, t: &mut Term) -> Result<(), Fail> {
    loop {
        let twice = (1..t.letters.len()).find_map(|j| (0..j).find(|&i| t.letters[i] == t.letters[j]).map(|i| (i, j)));
        let Some((i, j)) = twice else { return Ok(()) };
        let shape = o.shape(t.value);
        let (Dim::Fixed(n), true) = (shape.0[i], shape.0[i] == shape.0[j]) else {
            return Err(Rule::new(format!("a diagonal of axes {i} and {j} of {shape}")).into());
        };
        // Both axes last, as one; every n + 1-th element of it.
        let perm: Vec<usize> = (0..shape.rank()).filter(|&a| a != i && a != j).chain([i, j]).collect();
        let g = o.g();
        let turned = g.transpose(t.value, &perm)?;
        let mut flat: Vec<Dim> = perm[..perm.len() - 2].iter().map(|&a| shape.0[a]).collect();
        flat.push(Dim::Fixed(n * n));
        let axis = flat.len() - 1;
        let line = g.reshape(turned, &Shape(flat))?;
        let places = g.constant(Tensor::i32(&[n], (0..n).map(|k| (k * (n + 1)) as i32).collect())?);
        t.value = g.gather(line, axis, places)?;
        let letter = t.letters[i];
        t.letters = perm[..perm.len() - 2].iter().map(|&a| t.letters[a]).chain([letter]).collect();
    }
}

/// The product of two terms, summed over letters that nothing later needs.
fn pair(o: &mut Op<'_, '_>, a: &Term, b: &Term, later: &[char]) -> Result<Term, Fail> {
    let a = summed(o, a, |c| later.contains(&c) || b.letters.contains(&c))?;
    let b = summed(o, b, |c| later.contains(&c) || a.letters.contains(&c))?;
    let both = |c: &char| a.letters.contains(c) && b.letters.contains(c);
    let stack: Vec<char> = a.letters.iter().copied().filter(|c| both(c) && later.contains(c)).collect();
    let inner: Vec<char> = a.letters.iter().copied().filter(|c| both(c) && !later.contains(c)).collect();
    let rows: Vec<char> = a.letters.iter().copied().filter(|c| !both(c)).collect();
    let columns: Vec<char> = b.letters.iter().copied().filter(|c| !both(c)).collect();
    // Extents of 1 broadcast: the larger of both counts.
    let size = |o: &Op<'_, '_>, c: &char| -> Dim {
        let of = |t: &Term| t.letters.iter().position(|l| l == c).map(|i| o.shape(t.value).0[i]);
        match (of(&a), of(&b)) {
            (Some(Dim::Fixed(1)), Some(d)) => d,
            (Some(d), _) | (None, Some(d)) => d,
            (None, None) => Dim::Fixed(1),
        }
    };
    let extents = |o: &Op<'_, '_>, list: &[char]| list.iter().map(|c| size(o, c)).collect::<Vec<Dim>>();
    let (s, k, m, n) = (extents(o, &stack), extents(o, &inner), extents(o, &rows), extents(o, &columns));
    let joined = |t: &Term, o: &mut Op<'_, '_>, lists: [&[char]; 3], to: [&[Dim]; 3]| -> Result<ValueId, Fail> {
        let value = arranged(o, t, &lists.concat())?;
        let full = Shape(to.concat());
        let value = if o.shape(value) == full { value } else { o.g().broadcast(value, &full)? };
        let flat = Shape(vec![product(to[0])?, product(to[1])?, product(to[2])?]);
        Ok(o.g().reshape(value, &flat)?)
    };
    let x = joined(&a, o, [&stack, &rows, &inner], [&s, &m, &k])?;
    let y = joined(&b, o, [&stack, &inner, &columns], [&s, &k, &n])?;
    let z = o.g().matmul(x, y, false, false)?;
    let z = o.g().reshape(z, &Shape([s, m, n].concat()))?;
    Ok(Term { value: z, letters: [stack, rows, columns].concat() })
}

/// A term summed over the letters that are not kept.
fn summed(o: &mut Op<'_, '_>, t: &Term, keep: impl Fn(char) -> bool) -> Result<Term, Fail> {
    let axes: Vec<usize> = (0..t.letters.len()).filter(|&i| !keep(t.letters[i])).collect();
    if axes.is_empty() {
        return Ok(Term { value: t.value, letters: t.letters.clone() });
    }
    let shape = o.shape(t.value);
    o.keep_batch(t.value, &axes)?;
    let value = o.g().reduce(Reduction::Sum, t.value, &axes)?;
    let kept: Vec<usize> = (0..t.letters.len()).filter(|i| !axes.contains(i)).collect();
    let value = o.g().reshape(value, &Shape(kept.iter().map(|&i| shape.0[i]).collect()))?;
    Ok(Term { value, letters: kept.iter().map(|&i| t.letters[i]).collect() })
}

/// A term with its axes in this order, others summed.
fn arranged(o: &mut Op<'_, '_>, t: &Term, order: &[char]) -> Result<ValueId, Fail> {
    let t = summed(o, t, |c| order.contains(&c))?;
    let mut value = t.value;
    let mut letters = t.letters;
    // A letter under the ellipsis that this term lacks has an extent of 1.
    for &c in order {
        if letters.contains(&c) {
            continue;
        }
        let mut shape = o.shape(value);
        shape.0.insert(0, Dim::Fixed(1));
        value = o.g().reshape(value, &shape)?;
        letters.insert(0, c);
    }
    let perm: Vec<usize> = order.iter().filter_map(|c| letters.iter().position(|l| l == c)).collect();
    if perm.iter().enumerate().all(|(i, &p)| i == p) { Ok(value) } else { Ok(o.g().transpose(value, &perm)?) }
}
