//! `flowbatch init`: a job file to begin with.

use std::fs::{self, File};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::cli::InitArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::job::sketch::Sketch;
use crate::model::id::Id;
use crate::model::region;

use super::closing::shell;
use super::pages::schema_text;
use super::{Done, terminal};

/// The schema that the job file names.
const SCHEMA: &str = "flowbatch.schema.json";

/// Rows of the demo.
const DEMO_ROWS: usize = 12;

/// Writes a job file to begin with, and says what to type next.
pub(super) fn init(args: &InitArgs) -> Done {
    match &args.demo {
        Some(folder) => demo(folder),
        None => job(args),
    }
}

fn job(args: &InitArgs) -> Done {
    let path = args.file.clone().unwrap_or_else(|| "job.toml".into());
    if path.extension().is_none_or(|extension| extension != "toml") {
        return Err(Error::Usage {
            what: format!("{} does not end in .toml, as job files do", path.display()),
            hint: "name it so".to_owned(),
        });
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let told = [
        ("region", &args.region),
        ("profile", &args.profile),
        ("project_id", &args.project_id),
        ("workspace_id", &args.workspace_id),
    ];
    let told = told
        .into_iter()
        .filter_map(|(key, value)| Some((key, value.clone()?)));
    let mut sketch = Sketch {
        file: path.display().to_string(),
        name: stem.clone().into_owned(),
        csv: args.csv.clone().unwrap_or_else(|| format!("{stem}.csv")),
        target: told.collect(),
    };
    let nothing_said = sketch.target.is_empty() && !args.simulate;
    if nothing_said && io::stdin().is_terminal() && io::stderr().is_terminal() {
        ask(&mut sketch).map_err(Error::machine("the terminal cannot be read"))?;
    }
    for (key, value) in &sketch.target {
        check(key, value)?;
    }
    let leads = |key: &str| matches!(key, "region" | "profile");
    if !sketch.target.is_empty() && !sketch.target.iter().any(|(key, _)| leads(key)) {
        return Err(Error::Usage {
            what: "there is no target".to_owned(),
            hint: "say --region or --profile as well".to_owned(),
        });
    }
    write_new(&path, &sketch.text())?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let schema = folder.join(SCHEMA);
    if !schema.exists() {
        write_new(&schema, &(schema_text() + "\n"))?;
    }
    let csv = folder.join(&sketch.csv);
    let program = program();
    let mut next = vec![format!("wrote {}; to go on:", path.display())];
    if !csv.exists() {
        let flags: String = match sketch.target.as_slice() {
            [] => " --simulate".to_owned(),
            target => {
                let given = target.iter().map(|(key, value)| {
                    let value = shell([value.clone()]);
                    format!(" --{} {value}", key.replace('_', "-"))
                });
                let is_given = target.iter().any(|(key, _)| *key == "workspace_id");
                let all = (!is_given).then(|| " --all-workspaces".to_owned());
                given.chain(all).collect()
            }
        };
        next.push(format!(
            "  {program} export{flags} --out {}",
            shell([csv.display().to_string()])
        ));
        next.push(format!("  (edit {} in a spreadsheet)", csv.display()));
    }
    for command in ["check", "plan", "run"] {
        let path = shell([path.display().to_string()]);
        next.push(format!("  {program} {command} {path}"));
    }
    terminal::print(&next.join("\n"));
    Ok(Exit::Done)
}

/// Refuses what a run would refuse.
fn check(key: &str, value: &str) -> Result<(), Error> {
    let fault = match key {
        "region" if region::endpoint(value).is_none() => (
            "the table of endpoints has no such region",
            "one such as ap-southeast-2; any other needs an endpoint, written into the job file",
        ),
        "project_id" | "workspace_id" if Id::parse(value).is_err() => (
            "not an id",
            "copy it from the console, or from `flowbatch export`",
        ),
        "profile" if value.trim().is_empty() => {
            ("no name", "write the name of a profile of profiles.toml")
        }
        _ => return Ok(()),
    };
    let flag = format!("--{}", key.replace('_', "-"));
    Err(Error::flag(&flag, value, fault.0, fault.1))
}

/// Asks for what the command line has left open.
fn ask(sketch: &mut Sketch) -> io::Result<()> {
    let question = |text: &str| -> io::Result<String> {
        write!(io::stderr(), "{text}: ")?;
        io::stderr().flush()?;
        let mut answer = String::new();
        if io::stdin().lock().read_line(&mut answer)? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the answers ended, and nothing was written",
            ));
        }
        Ok(answer.trim().to_owned())
    };
    let region = question("region, such as ap-southeast-2 (nothing: the simulator)")?;
    if !region.is_empty() {
        sketch.target.push(("region", region));
        for (key, text) in [
            (
                "project_id",
                "project id (nothing: IAM's project of the region)",
            ),
            ("workspace_id", "workspace id"),
        ] {
            let answer = question(text)?;
            if !answer.is_empty() {
                sketch.target.push((key, answer));
            }
        }
    }
    let csv = question(&format!("CSV with the rows (nothing: {})", sketch.csv))?;
    if !csv.is_empty() {
        sketch.csv = csv;
    }
    Ok(())
}

/// A job, its CSV, and the commands to try, in a folder of their own.
fn demo(folder: &Path) -> Done {
    let is_empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    if !is_empty {
        return Err(Error::Usage {
            what: format!("there is something in {} already", folder.display()),
            hint: "name a new folder".to_owned(),
        });
    }
    fs::create_dir_all(folder).map_err(Error::file("cannot make the folder", folder))?;
    let file = |name: &str| folder.join(name);
    let job = file("demo.toml");
    let sketch = Sketch {
        file: job.display().to_string(),
        name: "demo".to_owned(),
        csv: "demo.csv".to_owned(),
        target: Vec::new(),
    };
    write_new(&job, &sketch.text())?;
    write_new(&file(SCHEMA), &(schema_text() + "\n"))?;
    let mut csv = "workflow_id,name,enabled\n".to_owned();
    for row in 1..=DEMO_ROWS {
        csv += &format!("demo-{row:02},\"Triage, tier {row}\",true\n");
    }
    write_new(&file("demo.csv"), &csv)?;
    let job = shell([job.display().to_string()]);
    let program = program();
    terminal::print(&format!(
        "wrote {job} and what belongs to it. Nothing leaves this machine:\n  {program} check {job}\n  {program} plan {job}\n  \
         {program} run {job}\n  {program} runs\n  {program} undo last --simulate"
    ));
    Ok(Exit::Done)
}

/// This program, as it was called: it need not be in the PATH.
fn program() -> String {
    let called = std::env::args_os().next();
    let called = called.map(|called| called.to_string_lossy().into_owned());
    shell([called.unwrap_or_else(|| "flowbatch".to_owned())])
}

/// Writes a file that is not there yet.
fn write_new(path: &PathBuf, text: &str) -> Result<(), Error> {
    let file = File::options().write(true).create_new(true).open(path);
    match file {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Error::Usage {
            what: format!("{} is there already", path.display()),
            hint: "name another file, or remove it".to_owned(),
        }),
        file => file
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(Error::file("cannot write", path)),
    }
}
