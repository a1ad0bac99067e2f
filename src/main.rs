//! flowbatch changes many Huawei Cloud SecMaster workflows from a job file.

use std::process::ExitCode;

fn main() -> ExitCode {
    flowbatch::app::main().into()
}
