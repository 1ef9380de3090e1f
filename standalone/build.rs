//! Builds the embedded broker, which is written in Go, to a static library that is linked in.

use std::env;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Command, exit};

const WITHOUT: &str = "To do without it, build with `--no-default-features` and name a broker with \
                       `--kafka HOST:PORT`.";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_EMBEDDED_BROKER").is_none() {
        return;
    }
    for file in ["go/broker.go", "go/go.mod", "go/go.sum"] {
        println!("cargo:rerun-if-changed={file}");
    }
    for variable in ["CC", "CGO_CFLAGS", "GOFLAGS"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    if env::var_os("TARGET") != env::var_os("HOST") {
        give_up("The embedded broker can only be built for the machine that builds it.");
    }
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let status = Command::new("go")
        .current_dir("go")
        .env("CGO_ENABLED", "1")
        // Without these tags the library would ask for the resolver and the users of the C library.
        .args(["build", "-trimpath", "-tags=netgo,osusergo"])
        .args(["-ldflags=-s -w", "-buildmode=c-archive", "-o"])
        .arg(folder.join("libembedded_broker.a"))
        .arg(".")
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(_) => give_up(
            "Go could not build the embedded broker; its message is above. It needs Go 1.26, a C \
             compiler and, the first time, its module proxy.",
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => give_up(
            "The embedded broker needs Go 1.26 or newer, and there is no `go` in PATH: install it \
             from https://go.dev/dl.",
        ),
        Err(error) => give_up(&format!("`go` cannot be run: {error}.")),
    }
    println!("cargo:rustc-link-search=native={}", folder.display());
    println!("cargo:rustc-link-lib=static=embedded_broker");
    // Go starts threads; before glibc 2.34 they were a library of their own.
    println!("cargo:rustc-link-lib=pthread");
}

fn give_up(why: &str) -> ! {
    eprintln!("\n{why}\n{WITHOUT}\n");
    exit(1);
}
