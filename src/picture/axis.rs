//! Axes: which range, which steps, and where a value or a moment lies. Pure; places are tenths of a pixel.

/// A vertical axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Axis {
    /// Value at the bottom.
    pub low: i64,
    /// Value at the top.
    pub high: i64,
    /// Between two labels.
    pub step: i64,
}

impl Axis {
    /// Holds both values and 0, with at most `most` steps of 1, 2 or 5 times a power of ten.
    pub(super) fn holding(low: i64, high: i64, most: i64) -> Axis {
        let (low, high) = (low.min(0), high.max(0).max(low.min(0) + 1));
        let mut unit = 1_i64;
        loop {
            for factor in [1, 2, 5] {
                let step = unit * factor;
                let (bottom, top) = (low.div_euclid(step), (high + step - 1).div_euclid(step));
                if top - bottom <= most {
                    return Axis { low: bottom * step, high: top * step, step };
                }
            }
            unit *= 10;
        }
    }

    /// The values with a label, lowest first.
    pub(super) fn ticks(&self) -> impl Iterator<Item = i64> + use<> {
        let (low, step) = (self.low, self.step.max(1));
        (0..=(self.high - low) / step).map(move |k| low + k * step)
    }

    /// Where a value lies in a panel from `top` down.
    pub(super) fn y(&self, value: i64, top: i64, height: i64) -> i64 {
        let value = value.clamp(self.low, self.high);
        top + (self.high - value) * height / (self.high - self.low).max(1)
    }
}

/// Seconds between the labels of a time axis, of which `most` find room.
pub(super) fn time_step(seconds: i64, most: i64) -> i64 {
    const STEPS_S: [i64; 12] = [60, 300, 600, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200, 86_400];
    STEPS_S.into_iter().find(|step| seconds / step <= most.max(1)).unwrap_or(2 * 86_400)
}

/// A moment for people; days are told apart where there are several.
pub(super) fn moment(second: i64, seconds: i64) -> String {
    let (day, h, m, s) = (second / 86_400, second / 3600 % 24, second / 60 % 60, second % 60);
    let end_of_day = second == seconds && second == 86_400;
    match (seconds > 86_400, s) {
        _ if end_of_day => "24:00".to_owned(),
        (true, _) if second % 86_400 == 0 => format!("day {}", day + 1),
        (true, _) => format!("d{} {h}:{m:02}", day + 1),
        (false, 0) => format!("{h}:{m:02}"),
        (false, _) => format!("{h}:{m:02}:{s:02}"),
    }
}

/// Thousandths of a unit with as many decimals as the step needs.
pub(super) fn thousandths(value: i64, step: i64) -> String {
    let sign = if value < 0 { "−" } else { "" };
    let (whole, rest) = (value.abs() / 1000, value.abs() % 1000);
    match step {
        _ if step % 1000 == 0 => format!("{sign}{whole}"),
        _ if step % 100 == 0 => format!("{sign}{whole}.{}", rest / 100),
        _ if step % 10 == 0 => format!("{sign}{whole}.{:02}", rest / 10),
        _ => format!("{sign}{whole}.{rest:03}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_holds_its_values_on_round_steps() {
        assert_eq!(Axis::holding(-3400, 7140, 6), Axis { low: -4000, high: 8000, step: 2000 });
        assert_eq!(Axis::holding(0, 900, 5), Axis { low: 0, high: 1000, step: 200 });
        assert_eq!(Axis::holding(3, 5, 5), Axis { low: 0, high: 5, step: 1 });
        assert_eq!(Axis::holding(0, 0, 5), Axis { low: 0, high: 1, step: 1 });
        assert_eq!(Axis::holding(-3400, 7140, 6).ticks().collect::<Vec<_>>(), [-4000, -2000, 0, 2000, 4000, 6000, 8000]);
    }

    #[test]
    fn values_and_moments_are_read_as_people_write_them() {
        assert_eq!(thousandths(-2500, 500), "−2.5");
        assert_eq!(thousandths(4000, 2000), "4");
        assert_eq!([moment(0, 86_400), moment(86_400, 86_400), moment(5400, 86_400)], ["0:00", "24:00", "1:30"]);
        assert_eq!([moment(86_400, 604_800), moment(129_600, 604_800), moment(90, 3600)], ["day 2", "d2 12:00", "0:01:30"]);
        assert_eq!([time_step(86_400, 13), time_step(3600, 13), time_step(604_800, 13)], [7200, 300, 86_400]);
    }
}
