//! Columns of text.

/// Rows with their cells padded to the widest of each column, two spaces between them; nothing
/// behind the last cell. Counts characters, as terminals mostly do.
pub fn table<R: AsRef<[String]>>(rows: &[R]) -> String {
    let columns = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.as_ref().get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &R| {
        let cells = row.as_ref().iter().zip(&widths);
        let padded: Vec<String> = cells.map(|(cell, width)| format!("{cell:width$}", width = *width)).collect();
        padded.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Cells of one row.
pub fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).into()
}

/// Bytes as dotCloud printed them: `32.0 M`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["", "K", "M", "G"];
    let (mut size, mut unit) = (bytes as f64, 0);
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit]).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [row(["name", "type"]), row(["größer", "x"]), row(["a", ""])];
        assert_eq!(table(&rows), "name    type\ngrößer  x\na");
        assert_eq!(table::<Vec<String>>(&[]), "");
    }

    #[test]
    fn sizes_are_printed_as_they_were() {
        assert_eq!([32 << 20, 0, 1536, 5 << 40].map(size), ["32.0 M", "0.0", "1.5 K", "5120.0 G"]);
    }
}
