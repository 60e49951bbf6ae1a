//! Draws the tables of one section of a report as bars: `plot docs/benchmarks.md "Whole copies" docs/copies.svg`.
//!
//! A table is drawn if the section has a heading of the second level, the table follows a heading of the third level,
//! and its second column holds ratios: a median, or one with its quartiles, `0.75 (0.70 to 0.81)`. Bars are as long as
//! the ratio; the line at 1 is the table's first row.

use plotters::prelude::*;
use std::env;
use std::error::Error;
use std::fs;

const WIDTH: u32 = 900;
const LABELS: i32 = 430;
const ROW: i32 = 20;
const HEADING: i32 = 34;
/// Room for the number after the longest bar.
const NUMBER: i32 = 60;

struct Row {
    label: String,
    /// The median, and the quartiles if they are given.
    ratios: Vec<f64>,
}

struct Table {
    /// Empty if the table is in another section.
    title: String,
    rows: Vec<Row>,
}

fn read(report: &str, section: &str) -> Vec<Table> {
    let (mut tables, mut inside) = (Vec::<Table>::new(), false);
    for line in report.lines() {
        if let Some(title) = line.strip_prefix("### ") {
            tables.push(Table { title: if inside { title.into() } else { String::new() }, rows: Vec::new() });
        } else if let Some(heading) = line.strip_prefix("## ") {
            inside = heading == section;
            tables.push(Table { title: String::new(), rows: Vec::new() });
        } else if let (Some(table), Some(row)) = (tables.last_mut(), row(line)) {
            table.rows.push(row);
        }
    }
    tables.retain(|table| !table.title.is_empty() && !table.rows.is_empty());
    tables
}

fn row(line: &str) -> Option<Row> {
    let mut cells = line.strip_prefix('|')?.split(" | ");
    let label = cells.next()?.trim().replace(['`', '*', '\\'], "");
    let words = cells.next()?.split([' ', '(', ')']);
    let ratios: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
    (!ratios.is_empty()).then_some(Row { label, ratios })
}

fn draw(tables: &[Table], path: &str) -> Result<(), Box<dyn Error>> {
    let height: i32 = tables.iter().map(|table| HEADING + ROW * table.rows.len() as i32).sum();
    let area = SVGBackend::new(path, (WIDTH, height as u32 + 20)).into_drawing_area();
    area.fill(&WHITE)?;
    let text = |size: i32| ("sans-serif", size).into_font().color(&BLACK);
    let (ours, others) = (RGBColor(0x2b, 0x6c, 0xb0), RGBColor(0xa0, 0xae, 0xc0));
    let mut top = 10;
    for table in tables {
        area.draw(&Text::new(table.title.clone(), (10, top + 8), text(16)))?;
        top += HEADING;
        let longest = table.rows.iter().flat_map(|row| &row.ratios).fold(1.0, |a: f64, b| a.max(*b));
        let scale = f64::from(WIDTH as i32 - LABELS - NUMBER) / longest;
        let at = |ratio: f64| LABELS + (ratio * scale) as i32;
        for (index, row) in table.rows.iter().enumerate() {
            let (y, median) = (top + ROW * index as i32, row.ratios[0]);
            let color =
                if row.label.contains("duocopy") || row.label.contains("blockpipe") { ours } else { others };
            area.draw(&Text::new(row.label.clone(), (10, y + 2), text(12)))?;
            area.draw(&Rectangle::new([(LABELS, y + 3), (at(median), y + ROW - 4)], color.filled()))?;
            if let [_, low, high] = row.ratios[..] {
                let middle = y + ROW / 2;
                area.draw(&PathElement::new([(at(low), middle), (at(high), middle)], BLACK.stroke_width(1)))?;
            }
            let end = at(row.ratios.iter().copied().fold(median, f64::max)) + 6;
            area.draw(&Text::new(format!("{median:.2}"), (end, y + 2), text(12)))?;
        }
        let bottom = top + ROW * table.rows.len() as i32;
        area.draw(&PathElement::new([(at(1.0), top), (at(1.0), bottom)], BLACK.stroke_width(1)))?;
        top = bottom;
    }
    area.present()?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [report, section, picture] = &arguments[..] else {
        return Err("plot REPORT.md SECTION PICTURE.svg".into());
    };
    draw(&read(&fs::read_to_string(report)?, section), picture)
}
