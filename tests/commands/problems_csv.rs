//! Whatever can be wrong with a CSV: each with its exact text, exit 2, and nothing sent.

use expect_test::{Expect, expect};

use crate::language::Desk;

/// Runs a CSV against the simulator: it must be refused with this text, and no run may begin.
fn refused(csv: impl AsRef<[u8]>, arguments: &str, text: Expect) {
    let desk = Desk::with("rows.csv", csv);
    let said = desk.flowbatch(&format!("run rows.csv --simulate {arguments}"));
    text.assert_eq(&said.stderr);
    assert_eq!((said.code, said.stdout.as_str()), (2, ""));
    assert!(!desk.has_runs(), "a run was begun");
    let checked = desk.flowbatch(&format!("check rows.csv --simulate {arguments}"));
    assert_eq!(
        (checked.code, checked.stderr),
        (2, said.stderr),
        "check says the same"
    );
}

#[test]
fn an_empty_file() {
    refused(
        "",
        "",
        expect![[r#"
        error: the file is empty
        --> rows.csv
         = help: its first line names the columns: workflow_id and at least one to change

        1 problem; nothing was sent
    "#]],
    );
    refused(
        "\n\n",
        "",
        expect![[r#"
        error: the file is empty
        --> rows.csv
         = help: its first line names the columns: workflow_id and at least one to change

        1 problem; nothing was sent
    "#]],
    );
}

#[test]
fn a_header_without_rows() {
    refused(
        "workflow_id,name\n",
        "",
        expect![[r#"
        error: the file has a header but no rows
        --> rows.csv
         = help: add a line for each workflow

        1 problem; nothing was sent
    "#]],
    );
}

#[test]
fn no_workflow_id_column() {
    refused(
        "workflow,name\nw1,x\n",
        "",
        expect![[r#"
            error: no such column
             --> rows.csv:1:header
              |
            1 | workflow
              | ^^^^^^^^
              |
              = help: did you mean workflow_id? (begin the name with x_ to have it ignored)

            error: no column says which workflow
             --> rows.csv:1
              |
            1 | workflow,name
              | ^^^^^^^^^^^^^
              |
              = help: each row needs workflow_id or workflow_name; map another name with --column 'workflow=workflow_id'; the file's columns: workflow, name

            2 problems; nothing was sent
        "#]],
    );
}

#[test]
fn a_column_nobody_knows() {
    refused(
        "workflow_id,enabeld,owner\nw1,true,me\n",
        "",
        expect![[r#"
        error: no such column
         --> rows.csv:1:header
          |
        1 | enabeld
          | ^^^^^^^
          |
          = help: did you mean enabled? (begin the name with x_ to have it ignored)

        error: no such column
         --> rows.csv:1:header
          |
        1 | owner
          | ^^^^^
          |
          = help: leave it out, begin its name with x_ to have it ignored, or say --other-columns ignore

        2 problems; nothing was sent
    "#]],
    );
}

#[test]
fn other_columns_are_ignored_where_the_flag_or_the_job_says_so_and_the_flag_is_heard_first() {
    let job = |word: &str| {
        format!(
            "[target]\nsimulator = true\n[rows]\nfile = \"rows.csv\"\nother_columns = \"{word}\"\n"
        )
    };
    let rows = "workflow_id,name,owner\nw1,x,me\n";
    let desk = Desk::with("ignore.toml", job("ignore"))
        .file("refuse.toml", job("refuse"))
        .file("rows.csv", rows);
    for (said, code) in [
        ("rows.csv --simulate", 2),
        ("rows.csv --simulate --other-columns refuse", 2),
        ("rows.csv --simulate --other-columns ignore", 0),
        ("ignore.toml", 0),
        ("ignore.toml --other-columns refuse", 2),
        ("refuse.toml", 2),
        ("refuse.toml --other-columns ignore", 0),
    ] {
        let told = desk.flowbatch(&format!("check {said}"));
        assert_eq!(told.code, code, "{said}: {}", told.stderr);
    }
}

#[test]
fn other_columns_can_be_ignored_only_where_there_are_columns() {
    let job = "[target]\nsimulator = true\n[[update]]\nworkflow_id = \"w1\"\nenabled = false\n";
    let said = Desk::with("job.toml", job).flowbatch("check job.toml --other-columns ignore");
    assert_eq!(said.code, 2);
    expect![[r#"
        error: the job has no CSV
        --> --other-columns
         = help: it is for rows from a CSV: add [rows] file = "rows.csv"

        1 problem; nothing was sent
    "#]]
    .assert_eq(&said.stderr);
}

#[test]
fn a_near_miss_stays_an_error_where_others_are_ignored() {
    let job =
        "[target]\nsimulator = true\n[rows]\nfile = \"rows.csv\"\nother_columns = \"ignore\"\n";
    let desk = Desk::with("job.toml", job)
        .file("rows.csv", "workflow_id,name,descripton,owner\nw1,x,y,me\n");
    let said = desk.flowbatch("run job.toml");
    assert_eq!(said.code, 2);
    expect![[r#"
        error: no such column
         --> rows.csv:1:header
          |
        1 | descripton
          | ^^^^^^^^^^
          |
          = help: did you mean description? (begin the name with x_ to have it ignored)

        1 problem; nothing was sent
    "#]]
    .assert_eq(&said.stderr);
}

#[test]
fn the_same_column_twice() {
    refused(
        "workflow_id,name,Name\nw1,x,y\n",
        "",
        expect![[r#"
        error: two columns are name
         --> rows.csv:1:header
          |
        1 | Name
          | ^^^^
          |
          = help: leave one of them out

        1 problem; nothing was sent
    "#]],
    );
}

#[test]
fn a_ragged_row() {
    refused(
        "workflow_id,name\nw1\nw2,a,b\nw3,x\n",
        "",
        expect![[r#"
            error: the row has not as many cells as the header
             --> rows.csv:2
              |
            2 | w1
              | ^^
              |
              = help: cells: 1, columns: 2; a text that holds the delimiter or a line break must stand in quotes

            error: the row has not as many cells as the header
             --> rows.csv:3
              |
            3 | w2,a,b
              | ^^^^^^
              |
              = help: cells: 3, columns: 2; a text that holds the delimiter or a line break must stand in quotes

            2 problems; nothing was sent
        "#]],
    );
}

#[test]
fn a_quote_that_is_never_closed() {
    refused(
        "workflow_id,name\r\nw1,x\r\nw2,\"Isolate\r\nw3,y\r\n",
        "",
        expect![[r#"
        error: a quote is opened and never closed
         --> rows.csv:3
          |
        3 | "Isolate
          | ^^^^^^^^
          |
          = help: close it, or double a quote that belongs to the text: ""

        1 problem; nothing was sent
    "#]],
    );
}

#[test]
fn bytes_that_are_no_utf_8() {
    refused(
        b"workflow_id,name\nw1,\xc0\xff\xfe\n",
        "",
        expect![[r#"
        error: the file is not UTF-8
         --> rows.csv:2
          |
        2 | w1,���
          | ^^^^^^
          |
          = help: say which is right: --encoding windows-1252 reads "Àÿþ", --encoding windows-1251 reads "Аяю"; or save it as UTF-8

        1 problem; nothing was sent
    "#]],
    );
}

#[test]
fn a_windows_1252_file_without_encoding() {
    refused(
        b"workflow_id;name\r\nw1;Pr\xfcfung\r\n",
        "",
        expect![[r#"
        error: the file is not UTF-8
         --> rows.csv:2
          |
        2 | w1;Pr�fung
          | ^^^^^^^^^^
          |
          = help: say which is right: --encoding windows-1252 reads "Prüfung", --encoding gb18030 reads "Pr黤ung", --encoding Big5 reads "Pr㘹ung", --encoding windows-1251 reads "Prьfung"; or save it as UTF-8

        1 problem; nothing was sent
    "#]],
    );
}

#[test]
fn a_gbk_file_without_encoding() {
    refused(
        b"workflow_id,name\r\nw1,\xcd\xfe\xd0\xb2\xb7\xd6\xce\xf6\r\n",
        "",
        expect![[r#"
        error: the file is not UTF-8
         --> rows.csv:2
          |
        2 | w1,��в����
          | ^^^^^^^^^^
          |
          = help: say which is right: --encoding windows-1252 reads "ÍþÐ²·ÖÎö", --encoding gb18030 reads "威胁分析", --encoding Big5 reads "哏赲煦昴", --encoding windows-1251 reads "НюРІ·ЦОц"; or save it as UTF-8

        1 problem; nothing was sent
    "#]],
    );
}

#[test]
fn a_nul() {
    refused(
        "workflow_id,name\nw1,a\0b\n\0\nw2,x\n",
        "",
        expect![[r#"
        error: the file holds a NUL character
         --> rows.csv:2
          |
        2 | w1,a�b
          | ^^^^^^
          |
          = help: if it is UTF-16 without a byte order mark, say --encoding utf-16le

        error: the file holds a NUL character
         --> rows.csv:3
          |
        3 | �
          | ^
          |
          = help: if it is UTF-16 without a byte order mark, say --encoding utf-16le

        2 problems; nothing was sent
    "#]],
    );
}

#[test]
fn ids_that_would_change_the_url() {
    refused(
        "workflow_id,name\n..,a\na/b,b\n.,c\n\"a\nb\",d\n,e\n1.23E+10,f\nw\u{200b}9,g\nw\u{a0}9,h\nw\u{200b}8,i\n",
        "",
        expect![[r#"
            error: the id would change the URL
             --> rows.csv:2:workflow_id
              |
            2 | ..
              | ^^
              |
              = help: an id is a UUID or 32 hexadecimal digits; copy it from the console or an export

            error: the id would change the URL
             --> rows.csv:4:workflow_id
              |
            4 | .
              | ^
              |
              = help: an id is a UUID or 32 hexadecimal digits; copy it from the console or an export

            error: the id holds a slash, which would change the URL
             --> rows.csv:3:workflow_id
              |
            3 | a/b
              | ^^^
              |
              = help: an id is a UUID or 32 hexadecimal digits; copy it from the console or an export

            error: the id holds a blank or a line break
             --> rows.csv:5:workflow_id
              |
            5 | a⏎b
              | ^^^
              |
              = help: an id is a UUID or 32 hexadecimal digits; copy it from the console or an export

            error: the row has no workflow_id
             --> rows.csv:7:workflow_id
              |
            7 |  
              | ^
              |
              = help: give the id as the console or an export shows it, or its workflow_name

            error: a spreadsheet has turned the id into a number
             --> rows.csv:8:workflow_id
              |
            8 | 1.23E+10
              | ^^^^^^^^
              |
              = help: format the column as text in the spreadsheet, then paste the ids again

            error: the id holds a character that cannot be seen: U+200B
             --> rows.csv:9:workflow_id
              |
            9 | w�9
              | ^^^
              |
              = help: delete it or retype the id

            error: the id holds a character that cannot be seen: U+200B
              --> rows.csv:11:workflow_id
               |
            11 | w�8
               | ^^^
               |
               = help: delete it or retype the id

            error: the id holds a character that cannot be seen: U+00A0
              --> rows.csv:10:workflow_id
               |
            10 | w 9
               | ^^^
               |
               = help: delete it or retype the id

            9 problems; nothing was sent
        "#]],
    );
}

#[test]
fn two_rows_for_one_workflow() {
    refused(
        "workflow_id,name\nw1,a\nw2,b\n w1 ,c\n",
        "",
        expect![[r#"
            error: a second row for the same workflow
             --> rows.csv:4:workflow_id
              |
            4 |  w1 
              | ^^^^
              |
              = help: the first is row 1, on line 2; make one row of them

            1 problem; nothing was sent
        "#]],
    );
}

#[test]
fn a_row_that_changes_nothing() {
    refused(
        "workflow_id,name,enabled\nw1,,\nw2,x,\n",
        "",
        expect![[r#"
        error: the row changes nothing
         --> rows.csv:2
          |
        2 | w1,,
          | ^^^^
          |
          = help: fill in name, description, enabled, version_id or labels, or use --set FIELD=VALUE

        1 problem; nothing was sent
    "#]],
    );
}

#[test]
fn a_list_of_ids_that_says_nothing_to_do() {
    refused(
        "workflow_id\nw1\nw2\n",
        "",
        expect![[r#"
            error: no column says what to change
             --> rows.csv:1
              |
            1 | workflow_id
              | ^^^^^^^^^^^
              |
              = help: add a column such as enabled, or say --set FIELD=VALUE; the file's columns: workflow_id

            1 problem; nothing was sent
        "#]],
    );
}

#[test]
fn enabled_without_a_version() {
    refused(
        "workflow_id,enabled,version_id\nw1,true,\nw2,true,<empty>\nw3,false,\n",
        "--snapshot off",
        expect![[r#"
            error: enabled is true, but there is no version_id
             --> rows.csv:2:enabled
              |
            2 | true
              | ^^^^
              |
              = help: the service wants the id of the version to activate: add a column version_id, or leave --snapshot off out

            error: enabled is true, but there is no version_id
             --> rows.csv:3:enabled
              |
            3 | true
              | ^^^^
              |
              = help: the service wants the id of the version to activate: add a column version_id, or leave --snapshot off out

            2 problems; nothing was sent
        "#]],
    );
}

#[test]
fn booleans_labels_and_texts_that_are_none() {
    let long = "x".repeat(1_025);
    refused(
        format!(
            "workflow_id,enabled,labels,name\nw1,yess,,\nw2,,HOST,\nw3,,,{long}\nw4,,,\"  \"\n"
        ),
        "",
        expect![[r#"
            error: not a boolean
             --> rows.csv:2:enabled
              |
            2 | yess
              | ^^^^
              |
              = help: write true or false (also yes/no, 1/0, and a spreadsheet's own words such as WAHR/FALSCH, VRAI/FAUX, 是/否)

            error: no such label
             --> rows.csv:3:labels
              |
            3 | HOST
              | ^^^^
              |
              = help: the service knows IP, ACCOUNT and DOMAIN; <empty> clears the label

            error: the text is longer than 1024 characters
             --> rows.csv:4:name
              |
            4 | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              |
              = help: the service shows no more

            error: the text is nothing but blanks
             --> rows.csv:5:name
              |
            5 |   
              | ^^
              |
              = help: leave the cell empty to keep the field, or write <empty> to clear it

            4 problems; nothing was sent
        "#]],
    );
}

#[test]
fn the_same_problem_on_many_rows_is_told_once() {
    let rows: String = (1..=500).map(|row| format!("w{row},maybe\n")).collect();
    refused(
        format!("workflow_id,enabled\n{rows}"),
        "",
        expect![[r#"
        error: not a boolean
         --> rows.csv:2:enabled
          |
        2 | maybe
          | ^^^^^
          |
          = note: the same on 499 more lines: 3, 4, 5, ...
          = help: write true or false (also yes/no, 1/0, and a spreadsheet's own words such as WAHR/FALSCH, VRAI/FAUX, 是/否)

        500 problems; nothing was sent
    "#]],
    );
}

#[test]
fn a_flag_against_the_rows_own_target() {
    refused(
        "workflow_id,workspace_id,name\nw1,ws-1,a\nw2,ws-2,b\n",
        "--workspace-id ws-1",
        expect![[r#"
            error: the row's workspace_id is not that of --workspace-id
             --> rows.csv:3:workspace_id
              |
            3 | ws-2
              | ^^^^
              |
              = help: --workspace-id says ws-1; leave out the flag

            1 problem; nothing was sent
        "#]],
    );
}

#[test]
fn a_cell_without_a_column_name() {
    refused(
        "workflow_id,name,\nw1,x,\nw2,x,stray\n",
        "",
        expect![[r#"
        error: a cell stands in a column without a name
         --> rows.csv:3
          |
        3 | w2,x,stray
          | ^^^^^^^^^^
          |
          = help: name the column in the first line, or begin its name with x_ to have it ignored

        1 problem; nothing was sent
    "#]],
    );
}

#[test]
fn flags_that_say_nothing_sensible() {
    refused(
        "workflow_id,name\nw1,x\n",
        "--set enabeld=true --set enabled=maybe --set name --column name --column 'a=b' --only row=x --limit 0 --encoding klingon",
        expect![[r#"
            error: no such field
            --> --set enabeld=true
             = help: did you mean enabled?

            error: not a boolean
            --> --set enabled=maybe
             = help: write true or false (also yes/no, 1/0, and a spreadsheet's own words such as WAHR/FALSCH, VRAI/FAUX, 是/否)

            error: not FIELD=VALUE
            --> --set name
             = help: write --set enabled=true

            error: not NAME=COLUMN
            --> --column name
             = help: write --column 'Workflow-ID=workflow_id'

            error: no such column: "b"
            --> --column a=b
             = help: columns: workflow_id, workflow_name, profile, region, project_id, workspace_id, workspace, name, description, enabled, version_id, labels, expect_name, expect_description, expect_enabled, expect_version_id, expect_labels, expect_update_time, wave

            error: no such encoding: "klingon"
            --> --encoding klingon
             = help: names are those of the web: utf-8, gb18030, windows-1252, utf-16le

            error: not a selection of rows
            --> --only row=x
             = help: write workspace=ID, workflow_id=ID, workflow_name=NAME or row=3,7-9; values of one kind are alternatives, and so are lists of ids and rows (A,B)

            error: the number is out of range
            --> --limit 0
             = help: write a whole number from 1

            8 problems; nothing was sent
        "#]],
    );
}

#[test]
fn rows_of_two_regions() {
    let csv = "workflow_id,region,project_id,workspace_id,name\nw1,cn-north-4,p,s,a\nw2,cn-north-1,p,s,b\nw3,cn-nord-4,p,s,c\n";
    let desk = Desk::with("rows.csv", csv).variable("HW_AUTH_TOKEN", "canary");
    let said = desk.flowbatch("run rows.csv");
    assert_eq!(said.code, 2);
    expect![[r#"
        error: no such region
         --> rows.csv:4:region
          |
        4 | cn-nord-4
          | ^^^^^^^^^
          |
          = help: did you mean cn-north-4? Regions: af-north-1, af-south-1, ap-southeast-1, ap-southeast-2, ap-southeast-3, ap-southeast-4, ap-southeast-5, cn-east-2, cn-east-3, cn-east-4, cn-east-5, cn-north-1, cn-north-11, cn-north-12, cn-north-2, cn-north-4, cn-north-9, cn-south-1, cn-south-2, cn-southwest-2, cn-southwest-3, eu-west-101, la-north-2, la-south-2, me-east-1, my-kualalumpur-1, sa-brazil-1, tr-west-1

        1 problem; nothing was sent
    "#]]
    .assert_eq(&said.stderr);
}

#[test]
fn what_is_no_csv_at_all() {
    refused(
        b"PK\x03\x04\x14\0\x06\0",
        "",
        expect![[r#"
        error: this is a workbook, not a CSV
        --> rows.csv
         = help: save it as CSV UTF-8 in the spreadsheet

        1 problem; nothing was sent
    "#]],
    );
    refused(
        "<!DOCTYPE html><html></html>",
        "",
        expect![[r#"
        error: this is a web page, not a CSV
        --> rows.csv
         = help: download the file itself

        1 problem; nothing was sent
    "#]],
    );
    refused(
        "9b9f1b1e-5a52-4d1b-8a3b-6f6f2c9f4c11,Triage\nw2,x\n",
        "",
        expect![[r#"
            error: the first line names no column
             --> rows.csv:1
              |
            1 | 9b9f1b1e-5a52-4d1b-8a3b-6f6f2c9f4c11,Triage
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              |
              = help: it must name the columns (workflow_id or workflow_name, name, enabled ...); the file's columns: 9b9f1b1e-5a52-4d1b-8a3b-6f6f2c9f4c11, Triage

            1 problem; nothing was sent
        "#]],
    );
    refused(
        "workflow_id|name\nw1|x\n",
        "",
        expect![[r#"
            error: the cells are separated by |, and no line says so
             --> rows.csv:1
              |
            1 | workflow_id|name
              | ^^^^^^^^^^^^^^^^
              |
              = help: put a line sep=| before the header, or save the file with , or ;

            1 problem; nothing was sent
        "#]],
    );
}

#[test]
fn cells_that_are_separated_by_another_character() {
    refused(
        "sep=,\nworkflow_id;name\nw1;x\n",
        "",
        expect![[r#"
        error: the cells are separated by ;, not as the line sep= says
         --> rows.csv:1
          |
        1 | sep=,
          | ^^^^^
          |
          = help: correct the line, or leave it out

        1 problem; nothing was sent
    "#]],
    );
    refused(
        "SEP=\nworkflow_id;name\nw1;x\n",
        "",
        expect![[r#"
        error: the line sep= names no delimiter
         --> rows.csv:1
          |
        1 | SEP=
          | ^^^^
          |
          = help: write sep= and the one character between the cells (here ;), or leave the line out

        1 problem; nothing was sent
    "#]],
    );
    refused(
        "id\u{ff0c}title\nw1\u{ff0c}x\n",
        "",
        expect![[r#"
        error: the cells are separated by ，
         --> rows.csv:1
          |
        1 | id，title
          | ^^^^^^^^^
          |
          = help: save the file with , ; or tab between the cells

        1 problem; nothing was sent
    "#]],
    );
    // A picture has the delimiter of the file.
    refused(
        "SEP=;\nworkflow_id;name\nw1\n",
        "",
        expect![[r#"
        error: the row has not as many cells as the header
         --> rows.csv:3
          |
        3 | w1
          | ^^
          |
          = help: cells: 1, columns: 2; a text that holds the delimiter or a line break must stand in quotes

        1 problem; nothing was sent
    "#]],
    );
}

#[test]
fn a_selection_that_no_row_matches() {
    refused(
        "workflow_id,name\nw1,x\n",
        "--only row=7",
        expect![[r#"
        error: no row is like that
        --> --only row=7
         = help: the job has 1 row; row= counts them from 1

        1 problem; nothing was sent
    "#]],
    );
}

#[test]
fn commas_in_the_header_of_a_file_with_semicolons() {
    let csv = "workflow_id;x_Bemerkung (kurz, klar, ohne Umlaute);name\nw1;;Eins\nw2;a;Zwei\n";
    let desk = Desk::with("rows.csv", csv).file("upper.csv", format!("SEP=;\n{csv}"));
    for file in ["rows.csv", "upper.csv"] {
        let said = desk.flowbatch(&format!("check {file} --simulate"));
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{file}");
        assert!(said.stdout.contains("2 rows"), "{}", said.stdout);
    }
}

#[test]
fn columns_by_other_words() {
    refused(
        "id;title;state\nw1;x;on\n",
        "",
        expect![[r#"
        error: no such column
         --> rows.csv:1:header
          |
        1 | id
          | ^^
          |
          = help: did you mean workflow_id? (begin the name with x_ to have it ignored)

        error: no such column
         --> rows.csv:1:header
          |
        1 | title
          | ^^^^^
          |
          = help: did you mean name? (begin the name with x_ to have it ignored)

        error: no such column
         --> rows.csv:1:header
          |
        1 | state
          | ^^^^^
          |
          = help: did you mean enabled? (begin the name with x_ to have it ignored)

        error: no column says which workflow
         --> rows.csv:1
          |
        1 | id;title;state
          | ^^^^^^^^^^^^^^
          |
          = help: each row needs workflow_id or workflow_name; map another name with --column 'id=workflow_id'; the file's columns: id, title, state

        4 problems; nothing was sent
    "#]],
    );
    refused(
        "id\nw1\n",
        "",
        expect![[r#"
        error: no such column
         --> rows.csv:1:header
          |
        1 | id
          | ^^
          |
          = help: did you mean workflow_id? (begin the name with x_ to have it ignored)

        error: no column says which workflow
         --> rows.csv:1
          |
        1 | id
          | ^^
          |
          = help: each row needs workflow_id or workflow_name; map another name with --column 'id=workflow_id'; the file's columns: id

        2 problems; nothing was sent
    "#]],
    );
    refused(
        "workflow_id,status\nw1,true\n",
        "",
        expect![[r#"
        error: no column says what to change
         --> rows.csv:1
          |
        1 | workflow_id,status
          | ^^^^^^^^^^^^^^^^^^
          |
          = help: the column status is ignored: call it enabled if that is meant (--column 'status=enabled'), or say --set FIELD=VALUE

        1 problem; nothing was sent
    "#]],
    );
    refused(
        "workflow_id,name\nw1,x\n",
        "--column Kennung=profile",
        expect![[r#"
            error: there is no column "Kennung" to map
             --> rows.csv:1
              |
            1 | workflow_id,name
              | ^^^^^^^^^^^^^^^^
              |
              = help: the names of --column and [rows.columns] must stand in the header; the file's columns: workflow_id, name

            1 problem; nothing was sent
        "#]],
    );
}

#[test]
fn lines_that_end_in_cr_alone() {
    refused(
        "workflow_id,name,enabled\rw1,One,yes\rw2,Two,perhaps\rw2,\"Two\nagain\",no\rw3,\"x\r",
        "",
        expect![[r#"
            error: not a boolean
             --> rows.csv:3:enabled
              |
            3 | perhaps
              | ^^^^^^^
              |
              = help: write true or false (also yes/no, 1/0, and a spreadsheet's own words such as WAHR/FALSCH, VRAI/FAUX, 是/否)

            error: a quote is opened and never closed
             --> rows.csv:5
              |
            5 | "x
              | ^^
              |
              = help: close it, or double a quote that belongs to the text: ""

            2 problems; nothing was sent
        "#]],
    );
    let desk = Desk::with("rows.csv", "workflow_id,name\rw1,One\rw2,Two\rw3,Three\r");
    let said = desk.flowbatch("check rows.csv --simulate");
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    assert!(said.stdout.contains("3 rows"), "{}", said.stdout);
}

#[test]
fn utf_8_under_another_encoding() {
    refused(
        "workflow_id,name\nw1,plain\nw2,Pr\u{fc}fung\nw3,M\u{fc}ller\n",
        "--encoding windows-1252",
        expect![[r#"
            error: the file is UTF-8, not windows-1252
             --> rows.csv:3
              |
            3 | w2,Prüfung
              | ^^^^^^^^^^
              |
              = help: leave encoding out (--encoding, [rows] encoding): UTF-8 is read without. If it only looks so, save it as UTF-8

            1 problem; nothing was sent
        "#]],
    );
    refused(
        "\u{feff}workflow_id,name\nw1,\u{5a01}\u{80c1}\n",
        "--encoding gbk",
        expect![[r#"
            error: the file is UTF-8, not GBK
             --> rows.csv:1
              |
            1 | workflow_id,name
              | ^^^^^^^^^^^^^^^^
              |
              = help: leave encoding out (--encoding, [rows] encoding): UTF-8 is read without. If it only looks so, save it as UTF-8

            1 problem; nothing was sent
        "#]],
    );
    let job = "[target]\nsimulator = true\n[[stage]]\nname = \"a\"\n[stage.rows]\nfile = \"rows.csv\"\nencoding = \"iso-8859-2\"\n";
    let desk = Desk::with("job.toml", job).file("rows.csv", "workflow_id,name\nw1,\u{119}\u{f3}\n");
    let said = desk.flowbatch("check job.toml");
    assert_eq!(said.code, 2);
    expect![[r#"
        error: the file is UTF-8, not ISO-8859-2
         --> rows.csv:2
          |
        2 | w1,ęó
          | ^^^^^
          |
          = help: leave encoding out (--encoding, [rows] encoding): UTF-8 is read without. If it only looks so, save it as UTF-8

        1 problem; nothing was sent
    "#]]
    .assert_eq(&said.stderr);
}

#[test]
fn one_uuid_in_three_spellings() {
    refused(
        "workflow_id,name\n9b9f1b1e-5a52-4d1b-8a3b-6f6f2c9f4c11,a\n9B9F1B1E-5A52-4D1B-8A3B-6F6F2C9F4C11,b\n9b9f1b1e5a524d1b8a3b6f6f2c9f4c11,c\n",
        "",
        expect![[r#"
            error: a second row for the same workflow
             --> rows.csv:3:workflow_id
              |
            3 | 9B9F1B1E-5A52-4D1B-8A3B-6F6F2C9F4C11
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              |
              = help: the first is row 1, on line 2; make one row of them

            error: a second row for the same workflow
             --> rows.csv:4:workflow_id
              |
            4 | 9b9f1b1e5a524d1b8a3b6f6f2c9f4c11
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              |
              = help: the first is row 1, on line 2; make one row of them

            2 problems; nothing was sent
        "#]],
    );
}

#[test]
fn what_no_workflow_can_be() {
    refused(
        "workflow_id,name,expect_update_time\nw1,<EMPTY>,\nw2,x,gestern\n#REF!,x,\n",
        "--set labels=IP --set labels=DOMAIN --column workflow_id=Kennung",
        expect![[r#"
            error: --set labels is said twice
            --> --set labels=DOMAIN
             = help: say each field once

            error: the names are in the wrong order
            --> --column workflow_id=Kennung
             = help: the other way round: 'Kennung=workflow_id'

            error: a workflow cannot be without a name
             --> rows.csv:2:name
              |
            2 | <EMPTY>
              | ^^^^^^^
              |
              = help: leave the cell empty to keep the name

            error: not a time of the service's
             --> rows.csv:3:expect_update_time
              |
            3 | gestern
              | ^^^^^^^
              |
              = help: copy it from an export: 2025-07-18T14:47:16.939Z+0800

            error: the cell holds an error value of the spreadsheet
             --> rows.csv:4:workflow_id
              |
            4 | #REF!
              | ^^^^^
              |
              = help: correct the formula in the sheet, or paste its values

            5 problems; nothing was sent
        "#]],
    );
}

#[test]
fn an_error_value_of_a_spreadsheet_in_any_column() {
    refused(
        "workflow_id,name,labels,enabled,expect_name\nw1,#REF!,,,\n#NV,x,#N/A,#WERT!,\nw3,x,,,#BEZUG!\nw4,Err:502,,yes,#N/A\n",
        "",
        expect![[r#"
            error: the cell holds an error value of the spreadsheet
             --> rows.csv:2:name
              |
            2 | #REF!
              | ^^^^^
              |
              = help: correct the formula in the sheet, or paste its values

            error: the cell holds an error value of the spreadsheet
             --> rows.csv:5:name
              |
            5 | Err:502
              | ^^^^^^^
              |
              = help: correct the formula in the sheet, or paste its values

            error: the cell holds an error value of the spreadsheet
             --> rows.csv:3:workflow_id
              |
            3 | #NV
              | ^^^
              |
              = help: correct the formula in the sheet, or paste its values

            error: the cell holds an error value of the spreadsheet
             --> rows.csv:3:enabled
              |
            3 | #WERT!
              | ^^^^^^
              |
              = help: correct the formula in the sheet, or paste its values

            error: the cell holds an error value of the spreadsheet
             --> rows.csv:3:labels
              |
            3 | #N/A
              | ^^^^
              |
              = help: correct the formula in the sheet, or paste its values

            error: the cell holds an error value of the spreadsheet
             --> rows.csv:4:expect_name
              |
            4 | #BEZUG!
              | ^^^^^^^
              |
              = help: correct the formula in the sheet, or paste its values; if the workflow has this text now, leave the cell empty

            error: the cell holds an error value of the spreadsheet
             --> rows.csv:5:expect_name
              |
            5 | #N/A
              | ^^^^
              |
              = help: correct the formula in the sheet, or paste its values; if the workflow has this text now, leave the cell empty

            7 problems; nothing was sent
        "#]],
    );
}

#[test]
fn an_error_value_that_the_workflow_has_by_now_is_a_text_as_any_other() {
    let csv = "workflow_id,name,expect_name,enabled\nw1,#REF!,#REF!,true\n";
    let desk = Desk::with("rows.csv", csv);
    let said = desk.flowbatch("check rows.csv --simulate");
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    // What a job file or a flag says was typed.
    let desk = Desk::with("rows.csv", "workflow_id,enabled\nw1,true\n");
    let said = desk.flowbatch("check rows.csv --simulate --set description=#N/A");
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
}

#[test]
fn an_error_value_in_a_column_that_a_template_speaks_of() {
    let csv = "workflow_id,enabled,x_team,x_note\nw1,true,#N/A,#REF!\n";
    let desk = Desk::with("rows.csv", csv);
    let said = desk.flowbatch("check rows.csv --simulate --set name={{row.x_team}}-{{name}}");
    assert_eq!(said.code, 2, "{}", said.stderr);
    expect![[r#"
        error: the cell holds an error value of the spreadsheet
         --> rows.csv:2:x_team
          |
        2 | #N/A
          | ^^^^
          |
          = help: a template speaks of this column: correct the formula in the sheet, or paste its values

        1 problem; nothing was sent
    "#]].assert_eq(&said.stderr);
    let said = desk.flowbatch("check rows.csv --simulate");
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
}

#[test]
fn a_target_that_is_missing_is_told_once() {
    let desk = Desk::with("rows.csv", "workflow_id,name\nw1,a\nw2,b\nw3,c\n");
    let said = desk.flowbatch("check rows.csv --workspace-id a/b");
    assert_eq!(said.code, 2);
    expect![[r#"
        error: the id holds a slash, which would change the URL
        --> --workspace-id a/b
         = help: an id is a UUID or 32 hexadecimal digits; copy it from the console or an export

        error: the job has no target
        --> rows.csv
         = help: say --region, --endpoint or --profile, set region in [target], or try it with --simulate

        2 problems; nothing was sent
    "#]]
    .assert_eq(&said.stderr);
}
