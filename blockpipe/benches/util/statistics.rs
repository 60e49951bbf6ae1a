//! The statistics of both packages' benchmarks.

/// Marsaglia's xorshift64, for bytes that do not compress and for random orders.
pub struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Returns the value below which this many quarters of the values lie, interpolated.
pub fn quartile(values: &[f64], quarters: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = quarters * (sorted.len() - 1);
    let (below, above) = (sorted[position / 4], sorted[position.div_ceil(4)]);
    below + (above - below) * (position % 4) as f64 / 4.0
}

/// Returns the median (and quartiles) of the ratios within each round.
pub fn ratios(own: &[f64], base: &[f64]) -> String {
    let ratios: Vec<f64> = own.iter().zip(base).map(|(own, base)| own / base).collect();
    let [low, middle, high] = [1, 2, 3].map(|quarters| quartile(&ratios, quarters));
    format!("{middle:.2} ({low:.2} to {high:.2})")
}
