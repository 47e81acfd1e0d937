use std::fs;
use std::path::Path;

use crate::circles;
use crate::resolve;
use crate::tree::Tree;

/// The circles of a crate with these files, as they are printed.
fn circles(files: &[(&str, &str)]) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).unwrap();
        fs::write(path, content).unwrap();
    }
    let tree = Tree::load(&directory.path().join("lib.rs")).unwrap();
    circles::find(&tree, &resolve::uses(&tree)).iter().map(ToString::to_string).collect()
}

#[test]
fn modules_that_use_each_other_are_a_circle() {
    let found = circles(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        ("b.rs", "pub struct B; fn f() { super::a::A::new(); }"),
    ]);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("circle of 2: crate::a, crate::b"), "{found:?}");
    assert!(found[0].contains("crate::b uses crate::a: super::a::A::new"), "{found:?}");
}

#[test]
fn circle_leads_through_several_modules() {
    let found = circles(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "pub fn a() { crate::b::b() }"),
        ("b.rs", "pub fn b() { crate::c::c() }"),
        ("c.rs", "pub fn c() { crate::a::a() }"),
    ]);
    assert_eq!(found.len(), 1);
}

#[test]
fn one_direction_is_not_a_circle() {
    let found = circles(&[
        ("lib.rs", "mod a; mod b; fn main() { a::f(); b::g(); }"),
        ("a.rs", "pub fn f() {}"),
        ("b.rs", "use super::a; pub fn g() { a::f() }"),
    ]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn re_export_alone_is_not_a_use() {
    let found = circles(&[
        ("lib.rs", "mod a;"),
        ("a.rs", "mod b; pub use b::B; pub struct Shared;"),
        ("a/b.rs", "use super::Shared; pub struct B(Shared);"),
    ]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn re_export_leads_to_the_module_that_defines_the_item() {
    let found = circles(&[
        ("lib.rs", "mod a; mod b; pub use a::A;"),
        ("a.rs", "pub struct A; fn f() { crate::b::g() }"),
        ("b.rs", "use crate::A; pub fn g() { let _ = A; }"),
    ]);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("circle of 2: crate::a, crate::b"), "{found:?}");
}

#[test]
fn parent_that_calls_a_child_which_uses_it_is_a_circle() {
    let found = circles(&[
        ("lib.rs", "mod a;"),
        ("a.rs", "mod b; pub struct Shared; pub fn f() { b::g() }"),
        ("a/b.rs", "use super::Shared; pub fn g() { let _ = Shared; }"),
    ]);
    assert_eq!(found.len(), 1);
}

#[test]
fn tests_do_not_count() {
    let found = circles(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub fn f() {} #[cfg(test)] mod tests { fn t() { crate::b::g() } }"),
        ("b.rs", "pub fn g() { crate::a::f() }"),
    ]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn arguments_of_macros_count() {
    let found = circles(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub const N: u8 = 0; fn f() { println!(\"{}\", crate::b::M) }"),
        ("b.rs", "pub const M: u8 = crate::a::N;"),
    ]);
    assert_eq!(found.len(), 1);
}

#[test]
fn imports_of_all_names_are_followed() {
    let found = circles(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub struct A; fn f() { crate::b::g() }"),
        ("b.rs", "use super::a::*; pub fn g() { let _ = A; }"),
    ]);
    assert_eq!(found.len(), 1);
}
