//! Every command and flag, with its help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::space::Overrides;

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed while running (or every trial diverged), 2 bad usage or input, \
3 no such adapter, 130 interrupted (what was done is kept).";

const SWEEP_EXAMPLES: &str = "\
Examples:
  regatta sweep                                   the default grid on the embedded digits
  regatta sweep --data iris --epochs 50           another dataset, longer
  regatta sweep --data my.csv --target species    a CSV file; `species` is the class
  regatta sweep --set learning_rate=log:1e-4..1e-1:7 --set batch_size=16,32,64
  regatta sweep --hidden 64,128,64x64 --folds 5   widths: [64], [128] and [64, 64]
  regatta init > sweep.toml; regatta sweep sweep.toml --out runs/first
  regatta sweep sweep.toml --out runs/first --resume
  regatta sweep --dry-run                         what it would cost
  regatta sweep --json --quiet | jq .best         for scripts

SPEC: 0.01 | 16,32,64 | sgd,adam | log:1e-4..1e-1:7 | linear:0..0.5:3 | int:1..4 | log_int:16..256:5";

/// Trains every trial of a hyperparameter sweep at once, and measures what that costs.
#[derive(Debug, Parser)]
#[command(name = "regatta", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a grid of trials and rank them.
    ///
    /// Without a FILE and without flags this sweeps the embedded digits: 7 learning rates x 4 batch
    /// sizes x 3 optimizers, 3 folds, 20 epochs. Flags win over the FILE. Results go to stdout,
    /// progress and warnings to stderr; records go to a run folder, which `regatta report` makes a
    /// page of.
    #[command(after_help = SWEEP_EXAMPLES, allow_negative_numbers = true)]
    Sweep(Box<SweepArguments>),
    /// Print a commented sweep file to start from.
    ///
    /// It is the default sweep, written out. Example: regatta init > sweep.toml
    Init(InitArguments),
    /// List what can be used here to train, and what `--adapter auto` takes.
    ///
    /// Example: regatta adapters --json
    Adapters(AdaptersArguments),
    /// Measure how fast the engines of this machine train.
    ///
    /// Suite `training`: trial-samples per second over batch sizes, members and optimizers, by the host's
    /// clock and by the device's timestamps. Each case is first verified against the f64 oracle. The
    /// table goes to stdout, progress to stderr. Example: regatta bench --adapter all --quick
    Bench(BenchArguments),
    /// Check every kernel on this machine's drivers against the f64 oracle.
    ///
    /// Each kernel runs on a table of cases between guard zones; then a wave of mixed members is
    /// trained several times, and every bit of it compared. A line a kernel: the largest error as a
    /// share of what rounding allows, and where it was. Exit code 1 when anything is wrong.
    /// Example: regatta check --adapter vulkan --members 1024 --repeats 20
    Check(CheckArguments),
    /// Measure which kernels train a sweep's networks fastest on a GPU adapter, and remember.
    ///
    /// Every form of every class of waves of the sweep is verified against the f64 oracle and timed; the
    /// fastest is taken from then on, until the driver or Regatta changes. On hardware a sweep that would
    /// take over 20 s does as much of this by itself as about 2 s allow. Results do not depend on it.
    /// Example: regatta tune-kernels sweep.toml --adapter vulkan; regatta tune-kernels --show
    TuneKernels(TuneKernelsArguments),
    /// Write one self-contained HTML page about a run.
    ///
    /// Made from the stored records alone: leaderboard, learning curves, heat maps, gaps, times.
    /// Example: regatta report runs/latest --out page.html
    Report(ReportArguments),
    /// Print a shell's completion script.
    ///
    /// Example: regatta completions bash > ~/.local/share/bash-completion/completions/regatta
    Completions(CompletionsArguments),
}

/// `regatta sweep`.
#[derive(Debug, Args)]
pub struct SweepArguments {
    /// Sweep file (see `regatta init`).
    pub file: Option<PathBuf>,

    /// Data: digits, iris, wine, breast_cancer, a .csv, .npy or .npz file, or a folder of IDX files.
    #[arg(long, value_name = "D", help_heading = "Data")]
    pub data: Option<String>,
    /// Column of a CSV file that holds the classes: name or index from 0 [default: the last].
    #[arg(long, value_name = "COLUMN", help_heading = "Data")]
    pub target: Option<String>,
    /// Folds of the cross-validation, at least 2.
    #[arg(
        long,
        value_name = "K",
        help_heading = "Data",
        conflicts_with = "holdout"
    )]
    pub folds: Option<u64>,
    /// Fraction of the rows to validate on, in place of folds.
    #[arg(
        long,
        value_name = "F",
        help_heading = "Data",
        allow_negative_numbers = true
    )]
    pub holdout: Option<f64>,
    /// Rows held out for the final score: a fraction, `given` (IDX), a CSV file, or 0 for none.
    #[arg(
        long,
        value_name = "T",
        help_heading = "Data",
        allow_negative_numbers = true
    )]
    pub test: Option<String>,
    /// Seeds that each trial is trained with.
    #[arg(long, value_name = "R", help_heading = "Data")]
    pub repeats: Option<u64>,

    /// Set or sweep a parameter, e.g. learning_rate=log:1e-4..1e-1:7 (repeatable).
    #[arg(long, value_name = "NAME=SPEC", help_heading = "Space")]
    pub set: Vec<String>,
    /// Hidden layers to try, e.g. 64,128,64x64.
    #[arg(long, value_name = "WIDTHS", help_heading = "Space")]
    pub hidden: Option<String>,
    /// Passes over the training rows [default: 20].
    #[arg(long, value_name = "N", help_heading = "Space")]
    pub epochs: Option<u64>,

    /// How trials are proposed: grid, the only one so far.
    #[arg(long, value_name = "S", help_heading = "Search")]
    pub strategy: Option<String>,
    /// Number of trials; a grid's follows from its space, so that grid refuses it.
    #[arg(long, value_name = "N", help_heading = "Search")]
    pub trials: Option<u64>,
    /// Which trials go on: none (all of them do), the only one so far.
    #[arg(long, value_name = "S", help_heading = "Search")]
    pub scheduler: Option<String>,
    /// Seed of every random choice [default: 0].
    #[arg(long, value_name = "N", help_heading = "Search")]
    pub seed: Option<u64>,
    /// End once the objective reaches this value (not built yet).
    #[arg(
        long,
        value_name = "X",
        help_heading = "Search",
        allow_negative_numbers = true
    )]
    pub stop_at: Option<f64>,
    /// End after this many seconds (not built yet).
    #[arg(
        long,
        value_name = "S",
        help_heading = "Search",
        allow_negative_numbers = true
    )]
    pub timeout: Option<f64>,

    /// Where to train: auto, cpu, or an index or part of a name from `regatta adapters`.
    #[arg(
        long,
        value_name = "A",
        default_value = "auto",
        help_heading = "Machine"
    )]
    pub adapter: String,
    /// Engine of a GPU adapter: auto, layered or resident.
    #[arg(long, value_name = "E", help_heading = "Machine")]
    pub engine: Option<String>,
    /// Measure no kernels, and go by no earlier measurement (see `regatta tune-kernels`).
    #[arg(long, help_heading = "Machine")]
    pub no_tune: bool,
    /// Threads of the cpu adapter [default: one a core].
    #[arg(long, value_name = "N", help_heading = "Machine", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// Folder of the run [default: runs/DATA-UTC_TIME]. An existing run is never overwritten.
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    pub out: Option<PathBuf>,
    /// Go on with the run in --out [default: runs/latest], or start it if it is not there.
    #[arg(long, help_heading = "Run")]
    pub resume: bool,
    /// Seconds between checkpoints of what is being trained.
    #[arg(long, value_name = "S", default_value_t = 30, help_heading = "Run", value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub checkpoint_every: u64,
    /// Write a timeline of host and device, with the share of time that the device was busy (Chrome's trace
    /// format, for Perfetto or chrome://tracing). An existing file is not overwritten.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Run",
        conflicts_with = "dry_run"
    )]
    pub trace: Option<PathBuf>,
    /// Print what would be trained and what it would cost; train and write nothing.
    #[arg(long, help_heading = "Run")]
    pub dry_run: bool,
    /// Print exactly what summary.json holds; with --dry-run, the estimate.
    #[arg(long, help_heading = "Run")]
    pub json: bool,
    /// No progress on stderr; warnings and errors remain.
    #[arg(long, short, help_heading = "Run")]
    pub quiet: bool,
}

/// `regatta init`.
#[derive(Debug, Args)]
pub struct InitArguments {
    /// File to write in place of stdout; an existing one is not overwritten.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `regatta adapters`.
#[derive(Debug, Args)]
pub struct AdaptersArguments {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `regatta bench`.
#[derive(Debug, Args)]
pub struct BenchArguments {
    /// What to measure: auto, cpu, all, or an index or part of a name from `regatta adapters`.
    #[arg(long, value_name = "A", default_value = "auto")]
    pub adapter: String,
    /// Which cases: training, the only suite so far.
    #[arg(long, value_name = "SUITE", default_value = "training")]
    pub suite: String,
    /// Fewer and shorter cases.
    #[arg(long)]
    pub quick: bool,
    /// File of the record, with all samples; written after each case. An older record is replaced.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print the record in place of the table.
    #[arg(long)]
    pub json: bool,
}

/// `regatta check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// What to check: all, cpu, auto, or an index or part of a name from `regatta adapters`.
    #[arg(long, value_name = "A", default_value = "all")]
    pub adapter: String,
    /// Members of the wave whose bits are compared.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub members: u32,
    /// Times that it is trained.
    #[arg(long, value_name = "R", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub repeats: u32,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `regatta tune-kernels`.
#[derive(Debug, Args)]
pub struct TuneKernelsArguments {
    /// Sweep file whose networks are measured [default: the default sweep].
    pub file: Option<PathBuf>,
    /// What to measure: auto, or an index or part of a name from `regatta adapters`.
    #[arg(long, value_name = "A", default_value = "auto")]
    pub adapter: String,
    /// Measure one engine's forms only: layered or resident.
    #[arg(long, value_name = "E")]
    pub engine: Option<String>,
    /// Print what is known, of all adapters.
    #[arg(long, conflicts_with_all = ["file", "adapter", "engine"])]
    pub show: bool,
    /// Forget all of it, of all adapters.
    #[arg(long, conflicts_with_all = ["file", "adapter", "engine", "show", "json"])]
    pub clear: bool,
    /// Print JSON, with all times.
    #[arg(long)]
    pub json: bool,
}

/// `regatta report`.
#[derive(Debug, Args)]
pub struct ReportArguments {
    /// Folder of the run [default: runs/latest].
    pub run: Option<PathBuf>,
    /// File of the page [default: report.html in the run's folder].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `regatta completions`.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// bash, zsh, fish, elvish or powershell.
    pub shell: Shell,
}

impl SweepArguments {
    /// The settings that take part in resolving the sweep.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            data: self.data.clone(),
            target: self.target.clone(),
            set: self.set.clone(),
            hidden: self.hidden.clone(),
            epochs: self.epochs,
            folds: self.folds,
            holdout: self.holdout,
            test: self.test.clone(),
            strategy: self.strategy.clone(),
            trials: self.trials,
            scheduler: self.scheduler.clone(),
            repeats: self.repeats,
            seed: self.seed,
            stop_at: self.stop_at,
            timeout: self.timeout,
        }
    }

    /// Nothing says what to sweep: a resumed run is then gone on with as it was begun.
    pub fn is_bare(&self) -> bool {
        self.file.is_none() && self.overrides() == Overrides::default()
    }
}
