//! The pages of `docs/` say what the examples do, in their words.

use std::error::Error;
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Steps in writing an adapter.
const STEPS: usize = 10;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Lines without their indentation.
fn flat(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.join("\n")
}

/// The page's blocks of Rust.
fn blocks(page: &str) -> Vec<&str> {
    let after_fence = page.split("```rust\n").skip(1);
    after_fence
        .filter_map(|rest| Some(rest.split_once("```")?.0))
        .collect()
}

#[test]
fn each_block_of_the_page_on_embedding_is_in_the_example() -> Result {
    let page = read_to_string(root().join("docs/embedding.md"))?;
    let mut sources = Vec::new();
    for file in read_dir(root().join("examples/embed-host"))? {
        sources.push(flat(&read_to_string(file?.path())?));
    }
    let blocks = blocks(&page);
    assert!(blocks.len() >= 8, "the page quotes the example in parts");
    for block in blocks {
        let block = flat(block);
        let found = sources.iter().any(|source| source.contains(block.trim()));
        assert!(found, "not in examples/embed-host:\n{block}");
    }
    Ok(())
}

#[test]
fn the_custom_store_follows_the_ten_steps_of_the_page() -> Result {
    let page = read_to_string(root().join("docs/adapters.md"))?;
    let store = read_to_string(root().join("examples/custom-store/journal_store.rs"))?;
    let proof = read_to_string(root().join("examples/tests/custom_store.rs"))?;
    let headings: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## Step "))
        .collect();
    let numbers: Vec<Option<usize>> = headings
        .iter()
        .map(|heading| heading.split_once(": ")?.0.parse().ok())
        .collect();
    assert_eq!(numbers, (1..=STEPS).map(Some).collect::<Vec<_>>());
    let mut done: Vec<&str> = store
        .lines()
        .chain(proof.lines())
        .filter_map(|line| line.trim().strip_prefix("// Step "))
        .collect();
    done.sort_by_key(|heading| headings.iter().position(|known| known == heading));
    assert_eq!(
        done, headings,
        "each step is marked once, in the page's words"
    );
    Ok(())
}
