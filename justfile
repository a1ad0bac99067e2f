# One word per chore. `just` lists them.

default:
    @just --list

# Everything that must hold before a change lands
ci:
    bash .ci/run

# Format, lint and test
check:
    cargo fmt
    cargo clippy --all-targets -- -D warnings
    cargo test

# Renew the texts that tests hold as pictures; look at the difference before you commit it
pictures:
    UPDATE_EXPECT=1 cargo test
    git diff --stat

# The laws over many more random scenarios, tables and job files
campaign factor="100":
    FLOWBATCH_CAMPAIGN={{factor}} cargo test --release --test laws --test agreement --test table --test jobfile

# The first run of a newcomer
demo:
    cargo run --release -- run jobs/demo.toml
