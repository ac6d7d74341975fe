//! Pixels to cells and back.
//!
//! Channel `(c·s + r)·s + q` of cell `(i, j)` is pixel `(s·i + r, s·j + q)` of channel `c` of the padded picture, so the
//! pixels of a row of a cell are neighbours on both sides.

use super::Cells;
use crate::SharedMut;
use crate::blocked::layout::LANES;
use crate::split::{share, tasks};

/// Where a row of pixels lies among the cells.
struct Place {
    block: usize,
    /// The first lane.
    lane: usize,
}

impl Cells {
    fn place(&self, c: usize, row: usize) -> Place {
        let channel = (c * self.side + row) * self.side;
        Place { block: channel / LANES, lane: channel % LANES }
    }
    /// Tasks of [`Cells::gather`] and of [`Cells::scatter`] for `n` pictures.
    pub(super) fn tasks(&self, n: usize) -> usize {
        tasks(n * self.image_len(), n * self.blocks() * self.cells.window.axes()[0].input)
    }
    /// One of `tasks` parts of the cells of the pictures `x`, to `[n, blocks, rows, columns, 16]`.
    ///
    /// # Safety
    /// Nothing but other tasks may touch `to` meanwhile.
    pub(super) unsafe fn gather(&self, task: usize, tasks: usize, x: &[f32], to: SharedMut<'_, f32>) {
        let [_, w] = self.input();
        let [rows, columns] = self.rows_and_columns();
        let pictures = x.len() / self.picture_len();
        let blocks = self.blocks();
        for row in share(task, tasks, pictures * blocks * rows) {
            let (picture, block, i) = (row / rows / blocks, row / rows % blocks, row % rows);
            // SAFETY: this task's row.
            let (cells, _) = unsafe { to.part(row * columns * LANES, columns * LANES) }.as_chunks_mut::<LANES>();
            cells.fill([0.0; LANES]);
            for (c, r) in self.rows_of_cells() {
                let place = self.place(c, r);
                let Some(y) = self.pixel_row(i, r).filter(|_| place.block == block) else { continue };
                let start = ((picture * self.pixels.ci + c) * self.input()[0] + y) * w;
                let line = &x[start..start + w];
                match self.side {
                    2 => gather_row::<2>(line, self.pad(), place.lane, cells),
                    _ => gather_row::<4>(line, self.pad(), place.lane, cells),
                }
            }
        }
    }
    /// One of `tasks` parts of the pictures `x` of the cells `from`: the adjoint of [`Cells::gather`].
    ///
    /// # Safety
    /// Nothing but other tasks may touch `x` meanwhile.
    pub(super) unsafe fn scatter(&self, task: usize, tasks: usize, from: &[f32], x: SharedMut<'_, f32>) {
        let [h, w] = self.input();
        let [rows, columns] = self.rows_and_columns();
        let pictures = from.len() / self.image_len();
        let before = self.pixels.window.axes()[0].pad_begin;
        for row in share(task, tasks, pictures * self.pixels.ci * h) {
            let (picture, c, y) = (row / h / self.pixels.ci, row / h % self.pixels.ci, row % h);
            // SAFETY: this task's row.
            let line = unsafe { x.part(row * w, w) };
            line.fill(0.0);
            let (i, r) = ((y + before) / self.side, (y + before) % self.side);
            if i < rows {
                let place = self.place(c, r);
                let start = ((picture * self.blocks() + place.block) * rows + i) * columns * LANES;
                let (cells, _) = from[start..start + columns * LANES].as_chunks::<LANES>();
                match self.side {
                    2 => scatter_row::<2>(cells, place.lane, self.pad(), line),
                    _ => scatter_row::<4>(cells, place.lane, self.pad(), line),
                }
            }
        }
    }
    fn input(&self) -> [usize; 2] {
        let axes = self.pixels.window.axes();
        [axes[0].input, axes[1].input]
    }
    /// Columns of zeros before a row of pixels.
    fn pad(&self) -> usize {
        self.pixels.window.axes()[1].pad_begin
    }
    /// Rows and columns of cells.
    fn rows_and_columns(&self) -> [usize; 2] {
        let axes = self.cells.window.axes();
        [axes[0].input, axes[1].input]
    }
    /// Channels of a picture with the rows of a cell.
    fn rows_of_cells(&self) -> impl Iterator<Item = (usize, usize)> {
        let side = self.side;
        (0..self.pixels.ci).flat_map(move |c| (0..side).map(move |r| (c, r)))
    }
    /// The row of pixels that is row `r` of the cells of row `i`, unless it is padding.
    fn pixel_row(&self, i: usize, r: usize) -> Option<usize> {
        let axis = &self.pixels.window.axes()[0];
        (i * self.side + r).checked_sub(axis.pad_begin).filter(|y| *y < axis.input)
    }
}

/// The cells whose pixels all lie in the row begin after so many; the pixels of a row before them.
fn whole_from<const S: usize>(pad: usize) -> (usize, usize) {
    let cells = pad.div_ceil(S);
    (cells, cells * S - pad)
}

/// Pixels of a row that lie in cells at its ends, as pixel, cell and lane within the cell's row.
fn ends<const S: usize>(len: usize, pad: usize, cells: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let (_, first) = whole_from::<S>(pad);
    let last = first + (len.saturating_sub(first)) / S * S;
    let at = move |x: usize| (x, (x + pad) / S, (x + pad) % S);
    (0..first.min(len)).chain(last.min(len)..len).map(at).filter(move |p| p.1 < cells)
}

fn gather_row<const S: usize>(line: &[f32], pad: usize, lane: usize, cells: &mut [[f32; LANES]]) {
    let (skip, first) = whole_from::<S>(pad);
    let (pieces, _) = line.get(first..).unwrap_or(&[]).as_chunks::<S>();
    for (cell, piece) in cells.iter_mut().skip(skip).zip(pieces) {
        cell.as_chunks_mut::<S>().0[lane / S] = *piece;
    }
    for (x, j, q) in ends::<S>(line.len(), pad, cells.len()) {
        cells[j][lane + q] = line[x];
    }
}

fn scatter_row<const S: usize>(cells: &[[f32; LANES]], lane: usize, pad: usize, line: &mut [f32]) {
    let (skip, first) = whole_from::<S>(pad);
    for (x, j, q) in ends::<S>(line.len(), pad, cells.len()) {
        line[x] = cells[j][lane + q];
    }
    let (pieces, _) = line.get_mut(first..).unwrap_or(&mut []).as_chunks_mut::<S>();
    for (cell, piece) in cells.iter().skip(skip).zip(pieces) {
        *piece = cell.as_chunks::<S>().0[lane / S];
    }
}
