//! Arguments → command → exit code. Everything else is in the library.

fn main() -> std::process::ExitCode {
    sax_controller::cli::main()
}
