//! Exact integer helpers of the law: intervals, polylines and proportional sharing. No rounding is lost: shares always sum up.

/// The point of `[lo, hi]` nearest to `x`; `lo` wins when the bounds are crossed.
pub fn clamp(x: i64, lo: i64, hi: i64) -> i64 {
    if x < lo {
        lo
    } else if x > hi {
        hi
    } else {
        x
    }
}

/// Stay inside `outer`; inside `inner` as well if the two meet, otherwise at the point of `outer` nearest to `inner`.
/// An `inner` with crossed bounds counts as its midpoint. (`spec/control.md` 2.4, lexicographic projection.)
pub fn project(outer: (i64, i64), inner: (i64, i64)) -> (i64, i64) {
    let (lo, hi) = outer;
    let (mut a, mut b) = inner;
    if a > b {
        a = (a + b).div_euclid(2);
        b = a;
    }
    if b < lo {
        (lo, lo)
    } else if a > hi {
        (hi, hi)
    } else {
        (lo.max(a), hi.min(b))
    }
}

/// Piecewise linear through `points` (ascending x), in per mille; flat outside.
pub fn polyline(points: &[(i64, i64)], x: i64) -> i64 {
    let Some(&(first_x, first_y)) = points.first() else { return 0 };
    if x <= first_x {
        return first_y;
    }
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        if x <= x1 {
            return y0 + ((y1 - y0) * (x - x0)).div_euclid(x1 - x0);
        }
    }
    points[points.len() - 1].1
}

/// Truncating towards zero: `x · per_mille / 1000`.
pub fn per_mille(x: i64, per_mille: i64) -> i64 {
    x * per_mille / 1000
}

/// √(a² − b²) for `a ≥ 0`, rounded down; zero where `|b| ≥ a`.
pub fn leg(a: i64, b: i64) -> i64 {
    let b = b.saturating_abs();
    if b >= a {
        return 0;
    }
    let square = (i128::from(a) * i128::from(a) - i128::from(b) * i128::from(b)).max(0) as u128;
    i64::try_from(square.isqrt()).unwrap_or(a)
}

/// Shares `total` (clamped to 0 … Σ`cap`) out in proportion to `weight`, no share above its cap; writes the shares to `share`, which sum
/// up exactly. Ties go to the lower index. All slices have the same length; caps are not negative.
pub fn share_by_weight(weight: &[i64], cap: &[i64], total: i64, share: &mut [i64]) {
    share.fill(0);
    let room: i64 = cap.iter().sum();
    let total = clamp(total, 0, room);
    if total == 0 {
        return;
    }
    let weights: i64 = weight.iter().map(|&w| w.max(1)).sum();
    let level = |i: usize, mu: i64| {
        let wanted = i128::from(weight[i].max(1)) * i128::from(mu) / i128::from(weights);
        i64::try_from(wanted.min(i128::from(cap[i]))).unwrap_or(cap[i])
    };
    let highest = cap.iter().copied().max().unwrap_or(0);
    let most = (highest + 1).saturating_mul(weights).saturating_add(1);
    let low = last_that(0, most, |mu| (0..cap.len()).map(|i| level(i, mu)).sum::<i64>() <= total);
    for (i, s) in share.iter_mut().enumerate() {
        *s = level(i, low);
    }
    let mut rest = total - share.iter().sum::<i64>();
    for (s, &c) in share.iter_mut().zip(cap) {
        let more = rest.min(c - *s);
        *s += more;
        rest -= more;
    }
}

/// The shares nearest to `wanted` (least squares) inside `lo … hi` that sum up to `total`, as far as the bounds allow it. Exact; what is
/// left by rounding goes to the lower index. (`spec/control.md` 2.4, "waterfill".)
pub fn level_to<const N: usize>(wanted: [i64; N], lo: [i64; N], hi: [i64; N], total: i64) -> [i64; N] {
    let total = clamp(total, lo.iter().sum(), hi.iter().sum());
    let at = |mu: i64| -> [i64; N] { std::array::from_fn(|i| clamp(wanted[i] + mu, lo[i], hi[i])) };
    let lowest = (0..N).map(|i| lo[i] - wanted[i]).min().unwrap_or(0);
    let highest = (0..N).map(|i| hi[i] - wanted[i]).max().unwrap_or(0);
    let mu = last_that(lowest, highest, |mu| at(mu).iter().sum::<i64>() <= total);
    fill_up(at(mu), at(mu + 1), total)
}

/// Lowers the highest of `x` first until they sum up to at most `total`, none below its `floor` (and none that is below it already).
pub fn lower_to<const N: usize>(x: [i64; N], floor: [i64; N], total: i64) -> [i64; N] {
    if x.iter().sum::<i64>() <= total {
        return x;
    }
    let at = |mu: i64| -> [i64; N] { std::array::from_fn(|i| if x[i] > floor[i] { x[i].min(mu).max(floor[i]) } else { x[i] }) };
    let lowest = x.iter().chain(&floor).copied().min().unwrap_or(0) - 1;
    let highest = x.iter().copied().max().unwrap_or(0);
    let mu = last_that(lowest, highest, |mu| at(mu).iter().sum::<i64>() <= total);
    fill_up(at(mu), at(mu + 1), total)
}

/// Raises the lowest of `x` first until they sum up to at least `total`, none above its `ceiling`.
pub fn raise_to<const N: usize>(x: [i64; N], ceiling: [i64; N], total: i64) -> [i64; N] {
    lower_to(x.map(|w| -w), ceiling.map(|w| -w), -total).map(|w| -w)
}

/// The last number of `first … last` with this property, which the ones before it have too; `first` where none has it.
pub fn last_that(first: i64, last: i64, has: impl Fn(i64) -> bool) -> i64 {
    let (mut low, mut high) = (first, last.max(first));
    while low < high {
        let middle = low + (high - low + 1) / 2;
        if has(middle) { low = middle } else { high = middle - 1 }
    }
    low
}

/// Takes over single steps from `x` to `more` until the sum is `total`.
fn fill_up<const N: usize>(mut x: [i64; N], more: [i64; N], total: i64) -> [i64; N] {
    let mut rest = total - x.iter().sum::<i64>();
    for (x, more) in x.iter_mut().zip(more) {
        if rest > 0 && more > *x {
            *x += 1;
            rest -= 1;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projection_stays_in_the_outer_interval() {
        assert_eq!(project((-3, 5), (0, 9)), (0, 5));
        assert_eq!(project((-3, 5), (7, 9)), (5, 5));
        assert_eq!(project((-3, 5), (-9, -7)), (-3, -3));
        assert_eq!(project((-3, 5), (4, 2)), (3, 3));
    }

    #[test]
    fn the_leg_of_a_triangle() {
        assert_eq!(leg(5, 3), 4);
        assert_eq!(leg(5, -5), 0);
        assert_eq!(leg(5405, 0), 5405);
    }

    #[test]
    fn shares_sum_up_and_respect_their_caps() {
        let mut share = [0; 3];
        share_by_weight(&[1, 2, 1], &[100, 100, 10], 170, &mut share);
        assert_eq!(share.iter().sum::<i64>(), 170);
        assert_eq!(share, [60, 100, 10]);
        share_by_weight(&[5, 5, 5], &[100, 100, 100], 10_000, &mut share);
        assert_eq!(share, [100, 100, 100]);
        share_by_weight(&[0, 0, 0], &[0, 0, 0], 5, &mut share);
        assert_eq!(share, [0, 0, 0]);
    }
}
