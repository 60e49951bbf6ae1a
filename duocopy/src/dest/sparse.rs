//! Decides where a destination gets holes.

use crate::api::Sparse;

/// The shortest run of zeros that becomes a hole: the block size of most file systems.
const MIN_HOLE: usize = 4096;

/// Returns whether zeros become holes.
pub fn makes_holes(policy: Sparse, source_has_holes: bool) -> bool {
    match policy {
        Sparse::Auto => source_has_holes,
        Sparse::Always => true,
        Sparse::Never => false,
    }
}

/// Divides bytes into runs that are, in blocks of [`MIN_HOLE`], zeros only (`true`) or not (`false`).
pub fn runs(bytes: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    let is_zero = |block: &[u8]| block.iter().all(|byte| *byte == 0);
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let zero = is_zero(rest.chunks(MIN_HOLE).next()?);
        let alike = rest.chunks(MIN_HOLE).take_while(|block| is_zero(block) == zero);
        let (run, others) = rest.split_at(alike.map(<[u8]>::len).sum());
        rest = others;
        Some((zero, run))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_blocks_of_zeros_are_runs_of_their_own() {
        let lengths = |bytes: &[u8]| runs(bytes).map(|(zero, run)| (zero, run.len())).collect::<Vec<_>>();
        let block = |byte| [byte; MIN_HOLE];
        assert_eq!(lengths(&[]), []);
        assert_eq!(lengths(&[0; 10]), [(true, 10)]);
        assert_eq!(
            lengths(&[block(1), block(0), block(0), block(2)].concat()),
            [(false, MIN_HOLE), (true, 2 * MIN_HOLE), (false, MIN_HOLE)]
        );
        let mut almost = block(0);
        almost[MIN_HOLE - 1] = 1;
        let shifted = [&[1][..], &block(0), &block(0)[1..], &[0; 5], &almost].concat();
        assert_eq!(lengths(&shifted), [(false, MIN_HOLE), (true, 2 * MIN_HOLE), (false, 5)]);
        assert_eq!(runs(&shifted).flat_map(|(_, run)| run).copied().collect::<Vec<u8>>(), shifted);
    }

    #[test]
    fn holes_follow_the_policy_and_the_source() {
        for (policy, expected) in
            [(Sparse::Auto, [false, true]), (Sparse::Always, [true; 2]), (Sparse::Never, [false; 2])]
        {
            assert_eq!([false, true].map(|source| makes_holes(policy, source)), expected);
        }
    }
}
