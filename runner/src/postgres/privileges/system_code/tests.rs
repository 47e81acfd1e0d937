use super::*;
use crate::postgres::client::copy::Columns;

fn columns(texts: &[&str]) -> Columns {
    texts.iter().map(|&text| Some(text.to_owned())).collect()
}

fn code(added: &[&str], operators: &str) -> SystemCode {
    SystemCode {
        built_in: BTreeMap::from([("pg_operator".to_owned(), operators.to_owned())]),
        added: added.iter().map(|&object| object.to_owned()).collect(),
    }
}

fn texts(found: &[Difference]) -> Vec<String> {
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn function_that_was_added_to_the_server_is_found() {
    let row = columns(&["json_build_object", "25 19", "BEGIN … END", ""]);
    let forged = added("function", &row);
    assert!(forged.starts_with("function of pg_catalog: json_build_object, 25 19, "), "{forged}");
    let (before, pristine) = (code(&["known"], "7"), code(&[], "7"));
    let found = code(&["known", &forged], "7").compare("shop", &before, &pristine);
    let expected = format!("{forged} in \"shop\": exists (before: does not exist)");
    assert_eq!(texts(&found), [expected]);
    assert_eq!(code(&["known"], "7").compare("shop", &before, &pristine), []);
}

#[test]
fn operator_that_calls_another_function_is_found() {
    let (before, pristine) = (code(&[], "5"), code(&[], "7"));
    let found = code(&[], "8").compare("shop", &before, &pristine);
    let expected = "built-in rows of pg_operator in \"shop\": changed (before: as in a new cluster)";
    assert_eq!(texts(&found), [expected]);
}

#[test]
fn table_of_the_name_of_a_catalog_is_another() {
    let catalog = CATALOGS.iter().find(|catalog| catalog.name == "pg_proc").unwrap();
    assert_ne!(catalog.digest(b"1255\t1\tf\n"), catalog.digest(b"16384\t1\tf\n"));
    assert_eq!(catalog.digest(b"1255\t1\n1255\t2\n"), catalog.digest(b"1255\t2\n1255\t1\n"));
    assert_ne!(catalog.digest(b"1255\t1\t2\n"), catalog.digest(b"1255\t1\t3\n"));
}

/// A name of a function is looked up, and may be shown as another one's.
#[test]
fn functions_are_read_by_their_numbers() {
    let of_functions = ["aggfnoid", "aggtransfn", "aggfinalfn", "oprcode", "typinput", "typsend"];
    for column in of_functions {
        let is_read = |catalog: &&Catalog| catalog.columns.split(", ").any(|it| it.starts_with(column));
        let catalog = CATALOGS.iter().find(is_read).unwrap();
        assert!(catalog.query().contains(&format!("c.{column}::pg_catalog.oid")), "{column}");
    }
    assert!(!CATALOGS[0].columns.contains("::"), "the casts themselves are read without one");
}

#[test]
fn digests_of_an_earlier_release_are_not_compared() {
    let stored = r#"{"built_in": {"pg_operator": "7"}, "added": []}"#;
    let earlier: SystemCode = serde_json::from_str(stored).unwrap();
    assert_eq!(code(&[], "8").compare("shop", &earlier, &earlier), []);
    let json = serde_json::to_string(&code(&["known"], "8")).unwrap();
    assert_eq!(serde_json::from_str::<SystemCode>(&json).unwrap(), code(&["known"], "8"));
}

#[test]
fn queries_use_only_the_servers_own_operators() {
    let queries = CATALOGS.iter().map(Catalog::query).chain(ADDED.map(|(_, query)| query.to_owned()));
    for query in queries {
        assert!(query.contains("FROM pg_catalog.pg_"), "{query}");
        assert!(!query.contains(" = ") && !query.contains(" < "), "{query}");
    }
}

#[test]
fn code_of_an_earlier_preflight_is_not_compared() {
    let nothing = SystemCode::default();
    assert_eq!(code(&["known"], "8").compare("shop", &nothing, &nothing), []);
}
