//! x
pub(super) fn run(_: &super::simulate::Options) -> Result<(), super::Failure> {
    Ok(())
}
