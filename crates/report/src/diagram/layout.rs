//! Where blocks and arrows lie: ranks by longest path, order by barycentre (Sugiyama, Tagawa and Toda 1981), places by
//! least squares under the order.

/// A box with its middle and extents.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Placed {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

/// A drawing's places.
pub(super) struct Layout {
    pub boxes: Vec<Placed>,
    /// Points of each link, from the bottom of one box to the top of another; between two neighbours that differ in y a
    /// line goes straight down or bends.
    pub paths: Vec<Vec<(f64, f64)>>,
    pub width: f64,
    pub height: f64,
}

/// Between boxes side by side.
const SIDE: f64 = 26.0;
/// Between an arrow and what is beside it.
const LANE: f64 = 14.0;
/// Between ranks.
const GAP: f64 = 36.0;
/// Sweeps over all ranks, for the order and for the places.
const ORDER_SWEEPS: usize = 16;
const PLACE_SWEEPS: usize = 80;
/// Beyond this many crossings of ranks arrows go straight, so that time stays bounded.
const MOST_CELLS: usize = 60_000;

/// A box, or the place where an arrow passes a rank.
struct Cell {
    rank: usize,
    width: f64,
    /// The largest width of its chain: a column is as wide everywhere.
    column: f64,
    chain: usize,
    block: Option<usize>,
    up: Vec<usize>,
    down: Vec<usize>,
    x: f64,
}

impl Cell {
    fn new(rank: usize, width: f64, block: Option<usize>) -> Self {
        Cell { rank, width, column: width, chain: 0, block, up: Vec::new(), down: Vec::new(), x: 0.0 }
    }
}

/// Places boxes of the given extents; links go from a box to a later one.
pub(super) fn layout(sizes: &[(f64, f64)], links: &[(usize, usize)]) -> Layout {
    let n = sizes.len();
    let mut rank = vec![0usize; n];
    let mut sorted = links.to_vec();
    sorted.sort_by_key(|l| l.1);
    for &(a, b) in &sorted {
        rank[b] = rank[b].max(rank[a] + 1);
    }
    // An input that is wanted late stands just above who wants it.
    for i in (0..n).rev() {
        if !links.iter().any(|l| l.1 == i) {
            let first = links.iter().filter(|l| l.0 == i).map(|l| rank[l.1]).min();
            rank[i] = first.map_or(rank[i], |f| f.saturating_sub(1));
        }
    }
    let mut cells: Vec<Cell> = (0..n).map(|i| Cell::new(rank[i], sizes[i].0, Some(i))).collect();
    let crossings: usize = links.iter().map(|&(a, b)| rank[b] - rank[a]).sum();
    let mut chains: Vec<Vec<usize>> = Vec::with_capacity(links.len());
    for &(a, b) in links {
        let mut chain = vec![a];
        for r in rank[a] + 1..rank[b] {
            if crossings > MOST_CELLS {
                break;
            }
            cells.push(Cell::new(r, LANE, None));
            chain.push(cells.len() - 1);
        }
        chain.push(b);
        for w in chain.windows(2) {
            cells[w[0]].down.push(w[1]);
            cells[w[1]].up.push(w[0]);
        }
        chains.push(chain);
    }
    let ranks = rank.iter().max().map_or(0, |r| r + 1);
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); ranks];
    (0..cells.len()).for_each(|c| rows[cells[c].rank].push(c));
    order(&mut rows, &cells);
    let columns = columns(&rows, &mut cells);
    places(&rows, &mut cells, &columns);

    // Ranks one below the other, each as high as its highest box.
    let mut top = vec![0.0; ranks];
    let mut tall = vec![0.0; ranks];
    let mut y = 0.0;
    for (r, row) in rows.iter().enumerate() {
        top[r] = y;
        tall[r] = row.iter().filter_map(|&c| cells[c].block).map(|b| sizes[b].1).fold(0.0, f64::max);
        y += tall[r] + GAP;
    }
    let left = cells.iter().map(|c| c.x - c.width / 2.0).fold(f64::INFINITY, f64::min).min(0.0);
    let right = cells.iter().map(|c| c.x + c.width / 2.0).fold(f64::NEG_INFINITY, f64::max).max(0.0);
    let boxes: Vec<Placed> = (0..n)
        .map(|i| Placed {
            x: cells[i].x - left,
            y: top[rank[i]] + tall[rank[i]] / 2.0,
            width: sizes[i].0,
            height: sizes[i].1,
        })
        .collect();
    let paths = chains
        .iter()
        .map(|chain| {
            let (a, b) = (chain[0], chain[chain.len() - 1]);
            let out = port(&cells, &cells[a].down, chain[1], cells[a].width);
            let into = port(&cells, &cells[b].up, chain[chain.len() - 2], cells[b].width);
            let mut points = vec![
                (boxes[a].x + out, boxes[a].y + boxes[a].height / 2.0),
                (boxes[a].x + out, top[rank[a]] + tall[rank[a]]),
            ];
            for &c in &chain[1..chain.len() - 1] {
                let (x, r) = (cells[c].x - left, cells[c].rank);
                points.extend([(x, top[r]), (x, top[r] + tall[r])]);
            }
            points.push((boxes[b].x + into, top[rank[b]]));
            points.push((boxes[b].x + into, boxes[b].y - boxes[b].height / 2.0));
            points
        })
        .collect();
    Layout { boxes, paths, width: (right - left).max(1.0), height: (y - GAP).max(1.0) }
}

/// Where on a side an arrow begins or ends: arrows are spread in the order of what lies at their other ends.
fn port(cells: &[Cell], all: &[usize], one: usize, width: f64) -> f64 {
    let mut sorted = all.to_vec();
    sorted.sort_by(|&a, &b| cells[a].x.total_cmp(&cells[b].x).then(a.cmp(&b)));
    sorted.dedup();
    let i = sorted.iter().position(|&c| c == one).unwrap_or(0);
    let step = (width / (sorted.len() + 1) as f64).min(16.0);
    (i as f64 - (sorted.len() - 1) as f64 / 2.0) * step
}

/// Orders each row by the middle of its neighbours above, then below, and keeps the order with fewest crossings.
fn order(rows: &mut Vec<Vec<usize>>, cells: &[Cell]) {
    let mut place = vec![0.0; cells.len()];
    let number = |rows: &[Vec<usize>], place: &mut [f64]| {
        rows.iter().for_each(|row| row.iter().enumerate().for_each(|(i, &c)| place[c] = i as f64));
    };
    number(rows, &mut place);
    let mut best = (crossings(rows, cells, &place), rows.clone());
    for sweep in 0..ORDER_SWEEPS {
        let down = sweep % 2 == 0;
        let indices: Vec<usize> = if down { (0..rows.len()).collect() } else { (0..rows.len()).rev().collect() };
        for r in indices {
            let middle = |c: usize| {
                let near = if down { &cells[c].up } else { &cells[c].down };
                if near.is_empty() {
                    return place[c];
                }
                near.iter().map(|&o| place[o]).sum::<f64>() / near.len() as f64
            };
            let mut keyed: Vec<(f64, usize)> = rows[r].iter().map(|&c| (middle(c), c)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            rows[r] = keyed.into_iter().map(|k| k.1).collect();
            rows[r].iter().enumerate().for_each(|(i, &c)| place[c] = i as f64);
        }
        let found = crossings(rows, cells, &place);
        if found < best.0 {
            best = (found, rows.clone());
        }
        if best.0 == 0 {
            break;
        }
    }
    *rows = best.1;
}

/// Pairs of arrows between neighbouring rows that cross.
fn crossings(rows: &[Vec<usize>], cells: &[Cell], place: &[f64]) -> usize {
    let mut found = 0;
    for row in rows {
        let mut edges: Vec<(f64, f64)> = row
            .iter()
            .flat_map(|&c| cells[c].down.iter().map(move |&d| (c, d)))
            .map(|(c, d)| (place[c], place[d]))
            .collect();
        edges.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        // Insertion into a sorted list counts those to the right of each end.
        let mut ends: Vec<f64> = Vec::with_capacity(edges.len());
        for (_, end) in edges {
            let at = ends.partition_point(|&e| e <= end);
            found += ends.len() - at;
            ends.insert(at, end);
        }
    }
    found
}

/// Cells that follow each other without branching, from top to bottom.
fn columns(rows: &[Vec<usize>], cells: &mut [Cell]) -> Vec<Vec<usize>> {
    let mut columns: Vec<Vec<usize>> = Vec::new();
    for &c in rows.iter().flatten() {
        let above = match cells[c].up[..] {
            [a] if cells[a].down.len() == 1 => Some(cells[a].chain),
            _ => None,
        };
        let chain = above.unwrap_or(columns.len());
        if above.is_none() {
            columns.push(Vec::new());
        }
        columns[chain].push(c);
        cells[c].chain = chain;
    }
    for column in &columns {
        let widest = column.iter().map(|&c| cells[c].width).fold(0.0, f64::max);
        column.iter().for_each(|&c| cells[c].column = widest);
    }
    columns
}

/// Moves each row towards its neighbours as far as its order and the distances allow.
fn places(rows: &[Vec<usize>], cells: &mut [Cell], columns: &[Vec<usize>]) {
    const STRAIGHT_SWEEPS: usize = 8;
    for row in rows {
        let mut x = 0.0;
        for (i, &c) in row.iter().enumerate() {
            x += if i == 0 { 0.0 } else { apart(cells, row[i - 1], c) };
            cells[c].x = x;
        }
        row.iter().for_each(|&c| cells[c].x -= x / 2.0);
    }
    for sweep in 0..PLACE_SWEEPS {
        let indices: Vec<usize> =
            if sweep % 2 == 0 { (0..rows.len()).collect() } else { (0..rows.len()).rev().collect() };
        for r in indices {
            let wanted: Vec<(f64, f64)> = rows[r].iter().map(|&c| wish(cells, c, rows[r].len() == 1)).collect();
            let found = spread(&rows[r], cells, &wanted);
            rows[r].iter().zip(found).for_each(|(&c, x)| cells[c].x = x);
        }
    }
    // Columns become straight where what stands beside them leaves room.
    let mut place = vec![0; cells.len()];
    rows.iter().for_each(|row| row.iter().enumerate().for_each(|(i, &c)| place[c] = i));
    for sweep in 0..STRAIGHT_SWEEPS {
        let mut all: Vec<&Vec<usize>> = columns.iter().filter(|c| c.len() > 1).collect();
        if sweep % 2 == 1 {
            all.reverse();
        }
        for column in all {
            let (mut low, mut high, mut sum) = (f64::NEG_INFINITY, f64::INFINITY, 0.0);
            for &c in column {
                let row = &rows[cells[c].rank];
                if let Some(&beside) = place[c].checked_sub(1).and_then(|i| row.get(i)) {
                    low = low.max(cells[beside].x + apart(cells, beside, c));
                }
                if let Some(&beside) = row.get(place[c] + 1) {
                    high = high.min(cells[beside].x - apart(cells, c, beside));
                }
                sum += cells[c].x;
            }
            let alone = column.iter().any(|&c| rows[cells[c].rank].len() == 1);
            let wanted = if alone { 0.0 } else { sum / column.len() as f64 };
            if low <= high {
                let x = wanted.clamp(low, high);
                column.iter().for_each(|&c| cells[c].x = x);
            }
        }
    }
}

fn apart(cells: &[Cell], a: usize, b: usize) -> f64 {
    let gap = if cells[a].block.is_some() && cells[b].block.is_some() { SIDE } else { LANE };
    (cells[a].column + cells[b].column) / 2.0 + gap
}

/// Where a cell would like to be, and how much: chains want to be straight, long arrows among them.
fn wish(cells: &[Cell], c: usize, alone: bool) -> (f64, f64) {
    // What stands alone in its row is the spine of the picture.
    if alone {
        return (0.0, 1.0);
    }
    let (mut sum, mut weight) = (0.0, 0.0);
    let near = cells[c].up.iter().map(|&o| (o, c)).chain(cells[c].down.iter().map(|&o| (c, o)));
    for (above, below) in near {
        let chain = cells[above].down.len() == 1 && cells[below].up.len() == 1;
        let w = if chain { 8.0 } else { 0.5 };
        sum += w * cells[if above == c { below } else { above }].x;
        weight += w;
    }
    if weight == 0.0 { (cells[c].x, 0.01) } else { (sum / weight, weight) }
}

/// The places nearest to the wishes, by weighted squares, that keep order and distances: neighbours that press against
/// each other become one block at the mean of their wishes.
fn spread(row: &[usize], cells: &[Cell], wanted: &[(f64, f64)]) -> Vec<f64> {
    let mut offset = vec![0.0; row.len()];
    for i in 1..row.len() {
        offset[i] = offset[i - 1] + apart(cells, row[i - 1], row[i]);
    }
    // (weighted sum, weight, members)
    let mut blocks: Vec<(f64, f64, usize)> = Vec::with_capacity(row.len());
    for (i, &(x, w)) in wanted.iter().enumerate() {
        blocks.push(((x - offset[i]) * w, w, 1));
        while let [.., a, b] = blocks[..] {
            if a.0 / a.1 <= b.0 / b.1 {
                break;
            }
            blocks.pop();
            blocks.pop();
            blocks.push((a.0 + b.0, a.1 + b.1, a.2 + b.2));
        }
    }
    let mut out = Vec::with_capacity(row.len());
    for (sum, weight, members) in blocks {
        for _ in 0..members {
            out.push(sum / weight + offset[out.len()]);
        }
    }
    out
}
