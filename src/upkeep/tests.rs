use super::*;
use crate::engine::{Layers, ListedImage, Listing};

/// An image by one letter: its names, its topmost layer.
fn image(listing: &mut Listing, letter: char, names: &[&str], top_layer: &str) -> ImageId {
    let id = ImageId::parse(&letter.to_string().repeat(64)).unwrap();
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let listed = ListedImage { digest: String::new(), names, top_layer: top_layer.to_owned(), store: 0 };
    listing.add(id.clone(), listed);
    id
}

/// Three leaves of one stage on a base of the user's, each with a layer of its own; the oldest is `a`.
fn three_leaves() -> Census {
    let mut census = Census {
        layers: Layers::of(&[("base", "", 1000), ("1", "base", 10), ("2", "base", 20), ("3", "base", 30)]),
        ..Census::default()
    };
    image(&mut census.listing, 'f', &["docker.io/library/alpine:3"], "base");
    for (letter, name, layer, created) in [
        ('a', "localhost/stagecache/s:1", "1", "2024-01-01T00:00:00Z"),
        ('b', "localhost/stagecache/s:2", "2", "2024-01-02T00:00:00Z"),
        ('c', "localhost/stagecache/s:3", "3", "2024-01-03T00:00:00Z"),
    ] {
        let id = image(&mut census.listing, letter, &[name], layer);
        census.created.insert(id, created.to_owned());
    }
    let names = ["1", "2", "3"].map(|tag| format!("localhost/stagecache/s:{tag}"));
    census.kept.insert("build/s".into(), names.to_vec());
    census
}

fn tags(census: &Census, wish: &Wish) -> Vec<String> {
    let removal = choose(census, wish);
    removal.names.iter().map(|going| going.name.replace("localhost/stagecache/", "")).collect()
}

#[test]
fn without_a_choice_no_name_goes() {
    assert_eq!(choose(&three_leaves(), &Wish::default()), Removal::default());
}

#[test]
fn choices_hold_together_and_the_oldest_is_named_first() {
    let since = |text: &str| Some(text.parse().unwrap());
    let cases: Vec<(Wish, &[&str])> = vec![
        (Wish { all: true, ..Wish::default() }, &["s:1", "s:2", "s:3"]),
        (Wish { keep_stages: Some(1), ..Wish::default() }, &["s:1", "s:2"]),
        (Wish { unused_since: since("2024-01-02T12:00:00Z"), ..Wish::default() }, &["s:1", "s:2"]),
        (
            Wish { unused_since: since("2024-01-01T12:00:00Z"), keep_stages: Some(1), ..Wish::default() },
            &["s:1"],
        ),
        (Wish { all: true, stages: vec!["other".into()], ..Wish::default() }, &[]),
        (Wish { all: true, stages: vec!["s".into()], ..Wish::default() }, &["s:1", "s:2", "s:3"]),
        (Wish { keep_bytes: Some(50), ..Wish::default() }, &["s:1"]),
        (Wish { keep_bytes: Some(49), ..Wish::default() }, &["s:1", "s:2"]),
        (Wish { keep_bytes: Some(60), ..Wish::default() }, &[]),
        (
            Wish {
                keep_bytes: Some(0),
                spared: BTreeSet::from(["localhost/stagecache/s:1".to_owned()]),
                ..Wish::default()
            },
            &["s:2", "s:3"],
        ),
    ];
    for (wish, expected) in cases {
        assert_eq!(tags(&three_leaves(), &wish), expected, "{wish:?}");
    }
}

#[test]
fn an_image_that_another_build_keeps_too_stays() {
    let mut census = three_leaves();
    census.kept.insert("other/s".into(), vec!["localhost/stagecache/s:1".into()]);
    assert_eq!(tags(&census, &Wish { keep_stages: Some(1), ..Wish::default() }), ["s:2"]);
}

#[test]
fn what_goes_frees_the_layers_that_no_other_image_has() {
    let mut census = three_leaves();
    let removal = choose(&census, &Wish { keep_stages: Some(1), ..Wish::default() });
    assert_eq!((removal.images.len(), removal.bytes), (2, 30));
    // A user's name holds the image, so only our name goes.
    let a = ImageId::parse(&"a".repeat(64)).unwrap();
    census.listing.name(&a, "localhost/app:1");
    let removal = choose(&census, &Wish { keep_stages: Some(1), ..Wish::default() });
    assert_eq!((removal.names.len(), removal.images.len(), removal.bytes), (2, 1, 20));
}

#[test]
fn the_base_of_the_user_is_not_counted_as_ours() {
    let census = three_leaves();
    assert_eq!(usage(&census.listing, &census.layers), 60);
}

#[test]
fn names_without_an_image_and_listings_without_a_step_go() {
    let mut census = three_leaves();
    census.kept.insert("build/t".into(), vec!["localhost/stagecache/t:9".into()]);
    census.trees.push("0123".into());
    let removal = choose(&census, &Wish::default());
    let expected = Removal {
        trees: vec!["0123".into()],
        stale_names: vec!["localhost/stagecache/t:9".into()],
        ..Removal::default()
    };
    assert_eq!(removal, expected);
}

/// A record of a build that left this image.
fn record(n: usize, started: &str, image: Option<&ImageId>) -> BuildRecord {
    let stages = image.map(|id| {
        serde_json::json!({
            "index": 0, "name": "s", "alias": null, "lines": [1, 2], "status": "built", "key": null, "image": id,
            "tip": null, "image_name": null, "diff_ids": [], "steps": [], "inputs": [],
            "base": {"kind": "scratch", "written": "scratch", "expanded": "scratch", "canonical": null, "image": null,
                     "stage": null, "root": null},
        })
    });
    serde_json::from_value(serde_json::json!({
        "schema": 1, "build_id": format!("build-{n}"), "status": "succeeded", "started": started, "ended": null, "pid": 1,
        "error": null, "tool": "t", "platform": "linux/amd64", "result": null,
        "stages": stages.into_iter().collect::<Vec<_>>(),
        "engine": {"name": "buildah", "version": "1", "buildah": "1", "driver": "vfs", "graph_root": "/"},
        "request": {"containerfile": "-", "containerfile_digest": "", "built_digest": "", "context": "/", "ignore_file": null,
                    "target": null, "layers": true, "names": [], "args": {}, "public_args": {}},
    }))
    .unwrap()
}

#[test]
fn the_last_records_stay_and_so_do_young_ones_and_those_whose_images_are_there() {
    let mut census = three_leaves();
    let a = ImageId::parse(&"a".repeat(64)).unwrap();
    let at = |n: usize| format!("2024-01-01T{:02}:{:02}:00Z", n / 60, n % 60);
    census.records = (0..RECORDS + 3).map(|n| record(n, &at(n), (n == 1).then_some(&a))).collect();
    let gone = |census: &Census| choose(census, &Wish::default()).records;
    assert_eq!(gone(&census), ["build-0", "build-2"], "the image of the second one is there");
    let now = Timestamp::now().to_string();
    census.records.iter_mut().for_each(|record| record.started.clone_from(&now));
    assert_eq!(gone(&census), [""; 0], "all of them are young");
    census.records.truncate(RECORDS);
    census.records.iter_mut().for_each(|record| record.started = at(0));
    assert_eq!(gone(&census), [""; 0], "there are no more than stay");
}

#[test]
fn a_record_that_stands_on_itself_is_followed_once() {
    let mut census = three_leaves();
    let a = ImageId::parse(&"a".repeat(64)).unwrap();
    let mut damaged = record(0, "2024-01-01T00:00:00Z", Some(&a));
    damaged.stages[0].base.stage = Some(0);
    census.records.push(damaged);
    assert!(choose(&census, &Wish::default()).images.is_empty());
}

#[test]
fn what_is_kept_of_an_image_goes_with_the_last_that_refers_to_it() {
    let mut census = three_leaves();
    let id = |letter: &str| ImageId::parse(&letter.repeat(64)).unwrap();
    census.configs.extend([id("a"), id("d"), id("e")]);
    census.records.push(record(0, "2024-01-01T00:00:00Z", Some(&id("d"))));
    assert_eq!(choose(&census, &Wish::default()).configs, [id("e")]);
    let all = Wish { all: true, records: true, ..Wish::default() };
    assert_eq!(choose(&census, &all).configs, [id("a"), id("d"), id("e")]);
}
