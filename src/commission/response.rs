//! How a battery moves: the dead time from the command to the movement and the lag of the movement, fitted to its readings after all
//! commands together, and how many values of the meter must be caught in between.

use crate::control::math::polyline;
use crate::units::Span;

/// 1 − e^(−x) in per mille over x in thousandths.
const RISE: [(i64, i64); 12] = [
    (0, 0),
    (100, 95),
    (250, 221),
    (500, 393),
    (750, 528),
    (1000, 632),
    (1500, 777),
    (2000, 865),
    (3000, 950),
    (4000, 982),
    (5000, 993),
    (7000, 1000),
];
/// Steps of the search, ms.
const STEP_MS: i64 = 50;
/// Longest lag that is looked for, ms (`spec/control.md` 1.1: 100 to 500).
const LAG_MS: i64 = 4000;
/// A reading that is further off than this, per mille, counts no more.
const OUTLIER_PM: i64 = 300;

/// How a battery moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Response {
    /// From the command to the movement.
    pub dead: Span,
    /// Time constant of the movement.
    pub lag: Span,
    /// Mean error of the fit, per mille of the movement.
    pub error_pm: i64,
}

impl Response {
    /// When this part of a movement, per mille, is done: ms after the command.
    pub fn reaches(&self, part: i64) -> i64 {
        let ms = Span::signed_ms;
        ms(self.dead) + polyline(&RISE.map(|(x, y)| (y, x)), part) * ms(self.lag) / 1000
    }
}

/// The response that fits best to what was seen: (time since the command in ms, part of the movement in per mille).
pub fn fit(seen: &[(i64, i64)]) -> Option<Response> {
    let begun = seen.iter().filter(|s| s.1 >= 200).map(|s| s.0).min()?;
    let mut best = (i64::MAX, 0, 0);
    for dead in (0..=begun).step_by(STEP_MS as usize) {
        for lag in (0..=LAG_MS).step_by(STEP_MS as usize) {
            let error: i64 = seen.iter().map(|&(t, part)| (part - rise(t - dead, lag)).abs().min(OUTLIER_PM).pow(2)).sum();
            best = best.min((error, lag, dead));
        }
    }
    let ms = |ms: i64| Span::from_ms(u64::try_from(ms).unwrap_or(0));
    let error = |&(t, part): &(i64, i64)| (part - rise(t - best.2, best.1)).abs();
    let error_pm = seen.iter().map(error).sum::<i64>() / i64::try_from(seen.len()).unwrap_or(1).max(1);
    Some(Response { dead: ms(best.2), lag: ms(best.1), error_pm })
}

/// Part of a movement that is done `t` ms after its beginning, per mille.
fn rise(t: i64, lag: i64) -> i64 {
    match (t, lag) {
        (..=0, _) => 0,
        (_, ..=0) => 1000,
        _ => polyline(&RISE, t * 1000 / lag),
    }
}

/// For how long, ms, a meter that averages over `window` shows neither the old nor the new power: between 15 and 85 %.
pub fn partial_ms(lag: Span, window: Span) -> i64 {
    let (lag, window) = (lag.signed_ms().min(LAG_MS), window.signed_ms().min(20_000));
    let step = 20;
    // Sums of the rise, so that a mean over the window is a difference.
    let mut sums = vec![0];
    for t in (0..=7 * lag + window + 1000).step_by(step as usize) {
        sums.push(sums[sums.len() - 1] + rise(t, lag));
    }
    let width = (window / step).max(1) as usize;
    let means = (1..sums.len()).map(|i| (sums[i] - sums[i.saturating_sub(width)]) / width as i64);
    means.filter(|m| (150..=850).contains(m)).count() as i64 * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_time_and_lag_come_out_of_three_movements_at_different_times() {
        let seen: Vec<_> =
            [100, 430, 760].iter().flat_map(|t| (0..4).map(move |n| t + 1000 * n)).map(|t| (t, rise(t - 420, 310))).collect();
        let response = fit(&seen).unwrap();
        assert!(response.dead.as_ms().abs_diff(420) <= 60 && response.lag.as_ms().abs_diff(310) <= 80, "{response:?}");
        assert!(response.error_pm < 20 && response.reaches(632).abs_diff(730) <= 80, "{response:?}");
        assert_eq!(fit(&[(100, 0), (1100, 30)]), None, "nothing moved");
    }

    #[test]
    fn an_averaging_meter_shows_more_in_between() {
        let lag = Span::from_ms(300);
        assert!((480..=560).contains(&partial_ms(lag, Span::ZERO)), "{}", partial_ms(lag, Span::ZERO));
        assert!(partial_ms(lag, Span::from_s(1)) > 800);
    }
}
