/* The commands of fanal(1) and their help. docs/cli.md is the specification. */
#include "cmd/cli.h"
#include "cmd/roles.h"

#define SECRET_HELP                                                                                                    \
    "  --key-file F   the bytes of F open the vault; without it the passphrase\n"                                      \
    "                 is read from the file FANAL_PASSPHRASE_FILE names, or asked for\n"                             \
    "  --shares       custodians open it: their shares are read from the file\n"                                     \
    "                 FANAL_SHARES_FILE names, or asked for one after the other\n"

#define SIGN_HELP                                                                                                      \
    "  --user U            the account that signs\n"                                                                   \
    "  --password-file F   its password is the content of F, without the newline at its\n"                             \
    "                      end; without it it is asked for on the terminal\n"

#define ERASE_HELP                                                                                                     \
    "  --study UID         the study of that Study Instance UID\n"                                                     \
    "  --patient ISSUER ID everything of the patient, linked identities included\n"                                    \
    "  --unit NAME         the erasure unit of that name\n"                                                            \
    "  --reason TEXT       why; it stays for ever: no patient's name belongs in it\n\n"

const struct cli_command cli_commands[] = {
    { "init", cmd_init, "[--key-file F] DIR", "Make DIR with an empty vault and a fanal.conf",
      "The configuration lets nobody in: add a [peer] for each modality and a [sender]\n"
      "for each laboratory system. The first serve offers a one-time enrolment code for\n"
      "the first account. There is no default account and no way in without the secret:\n"
      "who loses it loses the vault.\n\n" SECRET_HELP },
    { "serve", cmd_serve, "[--key-file F] DIR", "Serve DIR in the foreground",
      "Runs until SIGTERM or SIGINT, then ends within 5 seconds. Says on standard output\n"
      "where it listens and \"ready\"; DIR/run/ports says where, too. The log goes to\n"
      "standard error. Started as root it becomes an unprivileged user. A second serve of\n"
      "the same DIR exits 1.\n\n" SECRET_HELP },
    { "status", cmd_status, "[--json] [--key-file F] DIR", "Say what DIR holds and how it is",
      "Counts, sizes and the tree head of the log. Asks a running serve, else opens the\n"
      "vault itself.\n\n" SECRET_HELP },
    { "verify", cmd_verify, "[--paper FILE] [--key-file F] DIR", "Check every byte of the vault; change nothing",
      "Names every damaged record, or file and offset where bits belong to none. Exits 0\n"
      "where nothing is damaged, else 1.\n\n"
      "  --paper FILE   first says whether the log still holds a checkpoint that was kept\n"
      "                 outside: the typed lines of fanal checkpoint, or the scanned QR\n"
      "                 code; - for standard input. Exits 1 where it was rolled back or has\n"
      "                 another history, 2 where a typing error is named by its line\n\n" SECRET_HELP },
    { "checkpoint", cmd_checkpoint, "[--json | --print] [--qr] [--key-file F] DIR",
      "Print the newest checkpoint, to be kept far from the machine",
      "Five lines that can be typed back, each with characters that check it. With such\n"
      "a paper a roll-back to an older disk image, and a history made anew by somebody who\n"
      "has the master key, are told by fanal verify --paper.\n\n"
      "  --qr      and as a QR code on the terminal\n"
      "  --print   instead a page of HTML, in French and English, with the QR code\n"
      "  --json    instead one JSON object\n\n" SECRET_HELP },
    { "repair", cmd_repair, "[--from COPYDIR] [--key-file F] DIR", "Repair what has rotted",
      "Checks every sealed file, repairs from parity what can be repaired, now and at full\n"
      "speed, makes damaged seals again and seals what is full. Says what it found. Exits 0\n"
      "where nothing stays damaged, else 1. Asks a running serve, else opens the vault itself.\n\n"
      "  --from COPYDIR   takes what parity cannot give from another copy of this vault (a\n"
      "                   back-up, a twin's directory): only what fits checksum and signed\n"
      "                   hash. Stop serve first\n\n" SECRET_HELP },
    { "rebuild", cmd_rebuild, "[--key-file F] DIR", "Make the index again from the log",
      "Throws the views away and folds them again. Exits 1 while a serve has DIR.\n\n" SECRET_HELP },
    { "list", cmd_list, "[--json] [--key-file F] DIR", "List the objects and messages, one a line",
      "With --json one object a line: position, kind, state, study_uid, series_uid,\n"
      "sop_uid, transfer_syntax, patient_id, issuer, patient_name, received, and more.\n\n" SECRET_HELP },
    { "export", cmd_export, "(--study UID | --object POSITION | --message POSITION) [--key-file F] DIR OUT",
      "Give back what was received, byte for byte",
      "  --study UID        every served object of the study: Part 10 files in OUT\n"
      "  --object POSITION  one stored version: the Part 10 file OUT\n"
      "  --message POSITION one HL7 message, as it came: the file OUT\n"
      "Existing files are not overwritten.\n\n" SECRET_HELP },
    { "prove", cmd_prove,
      "(--study UID | --result POSITION | --object POSITION | --patient ISSUER ID --access |\n"
      "                   --period FROM TO) [--hashes-only] [--checkpoint F] [--key-file F] DIR OUT",
      "Make an evidence pack that fanal-verify checks",
      "OUT becomes a folder: index.html explains it to a judge, evidence.fanal is what is\n"
      "checked. The pack opens the records it shows and nothing else. That it was made is\n"
      "recorded. Its key line is what fanal-verify --key wants: hand it over separately.\n\n"
      "  --study UID            every version received of the study's images\n"
      "  --result POSITION      one result message\n"
      "  --object POSITION      one object\n"
      "  --patient ISSUER ID --access\n"
      "                         who has seen the patient's data\n"
      "  --period FROM TO       all events from FROM (inclusive) to TO, UTC: 2026-11-28 or\n"
      "                         2026-11-28T04:00:00Z; or two positions\n"
      "  --hashes-only          neither keys nor contents\n"
      "  --checkpoint F         with a proof from the checkpoint in F (note, or typed paper)\n\n" SECRET_HELP },
    { "key", cmd_key, "(list | check | add KIND | remove | rotate) … DIR …", "Say who opens the vault, and change it",
      "  key list [--json] DIR\n"
      "      the unlockers: up to four, each of which opens the vault alone\n"
      "  key check [--key-file F | --shares] DIR\n"
      "      would this secret, would these shares open it? Starts nothing, changes nothing\n"
      "  key add passphrase DIR\n"
      "      from the file FANAL_NEW_PASSPHRASE_FILE names, or asked for twice\n"
      "  key add file --out FILE DIR\n"
      "      a new key file, for --key-file\n"
      "  key add custodians --threshold K --shares N [--out FOLDER] DIR\n"
      "      any K of N shares open it: a page for each custodian in FOLDER, else words on\n"
      "      standard output\n"
      "  key add credential [--out FILE] DIR\n"
      "      for systemd-creds encrypt: fanal(1) and docs/operations.md say how\n"
      "  key remove DIR NUMBER\n"
      "      that unlocker opens nothing any more; the last one stays\n"
      "  key rotate DIR\n"
      "      a new master key; no unlocker changes, no data is written again\n\n"
      "add, remove and rotate ask a running serve, else open the vault themselves:\n\n" SECRET_HELP },
    { "unseal", cmd_unseal, "[--key-file F | --shares] DIR", "Open a Fanal that was started sealed",
      "With --shares it asks for one share, or gives all that FANAL_SHARES_FILE holds: each\n"
      "custodian may do so at another time, from a terminal of his own. What is given is\n"
      "kept in memory for fifteen minutes.\n\n" SECRET_HELP },
    { "backup-keys", cmd_backup_keys, "[--expires DAYS] [--key-file F] DIR OUT",
      "Write keyring and configuration into one file",
      "Made while a serve runs or not, and recorded with its id and the day it expires: from\n"
      "then on restore-keys refuses it. It opens nothing without a secret of this vault.\n\n" SECRET_HELP },
    { "restore-keys", cmd_restore_keys, "[--force] [--key-file F] FILE DIR", "Put a keyring back that is lost",
      "For a DIR whose keyring is lost or damaged in both copies. What was made after the\n"
      "back-up is named as lost. The configuration of then becomes DIR/fanal.conf.restored.\n"
      "  --force        in place of a keyring that is there, or from a back-up that has expired\n\n" SECRET_HELP },
    { "follow", cmd_follow, "[--once] [--pin FINGERPRINT] DIR [HOST:PORT] | --from FOLDER [--vkey KEY] DIR",
      "Keep a verified copy of another machine's vault",
      "The first time, with --pin and HOST:PORT, makes DIR a twin of the machine there and\n"
      "prints the certificate that belongs into that machine's fanal.conf ([twin NAME]).\n"
      "Then follows in the foreground; needs no secret. Resumes where it was. Exits 1 where\n"
      "what comes is not the history that was followed: what it has, it keeps.\n\n"
      "  --once         ends when nothing is left to take\n"
      "  --from FOLDER  takes the files of fanal segments, or a copy of a vault directory,\n"
      "                 instead (one-way links); exits 1 where something is missing\n"
      "  --vkey KEY     whose checkpoints are believed, where nothing was followed yet\n" },
    { "segments", cmd_segments, "[--from POSITION] [--key-file F] DIR OUT", "Write what is new as files for a twin behind a one-way link",
      "Writes what came since the last time into the folder OUT, a file for each step:\n"
      "log, bodies, new slots of the keyring, a signed head. What is written is said, and\n"
      "kept in DIR/segments.state. The other side takes them with fanal follow --from.\n"
      "Asks a running serve, else opens the vault itself.\n\n"
      "  --from POSITION  from that record on once more: what the way has lost\n\n" SECRET_HELP },
    { "promote", cmd_promote, "[--key-file F] DIR", "Make a twin a first machine",
      "Verifies, opens, records the promotion and what was the last record received; takes\n"
      "over the first's fanal.conf but for [listen]. Then fanal serve DIR accepts stores.\n"
      "Switch the old machine off before. May be given again where it was interrupted.\n\n" SECRET_HELP },
    { "send", cmd_send, "[--aet A] [--aec B] FILE… HOST:PORT", "Send DICOM files to an application entity",
      "Each file goes in its own transfer syntax, its data set unchanged. A line for each\n"
      "says what became of it; exit code 0 where all were kept, 1 where some were not.\n\n"
      "  --aet A   call ourselves A (FANALSEND)\n"
      "  --aec B   call B (FANAL)\n" },
    { "erase", cmd_erase, "(--study UID | --patient ISSUER ID | --unit NAME) --reason TEXT --user U DIR",
      "Ask for data to be erased for ever", ERASE_HELP
      "Says the number of the request and what it covers, a line an erasure unit: name,\n"
      "objects and messages, how many of them were not meant but share the unit and go with\n"
      "it, issuer, identifier, name. Identities that are linked are one patient. Nothing is\n"
      "erased before another person approves. A request is good for 30 days.\n\n" SIGN_HELP SECRET_HELP },
    { "approve", cmd_approve, "--user U DIR REQUEST", "Erase what another person asked for",
      "Lists what goes, then destroys its data keys. There is no way back. Refused for the\n"
      "person who asked, for an account whose password is younger than the request or came\n"
      "from whoever asked, while a hold is on it, and where records have come to it since.\n\n" SIGN_HELP SECRET_HELP },
    { "withdraw", cmd_withdraw, "--user U DIR REQUEST", "Take a request for erasure back",
      "One person is enough.\n\n" SIGN_HELP SECRET_HELP },
    { "erasures", cmd_erasures, "[--json] DIR", "List the requests for erasure and what became of them",
      "Number, state (requested, approved, withdrawn, erased), units, who asked, who\n"
      "approved, why, and which copies have not applied it yet.\n\n" SECRET_HELP },
    { "hold", cmd_hold, "(--study UID | --patient ISSUER ID | --unit NAME) --reason TEXT DIR",
      "Forbid that data is erased", ERASE_HELP
      "A hold on a patient covers also what comes later. One person sets it.\n\n" SIGN_HELP SECRET_HELP },
    { "lift", cmd_lift, "--user U DIR HOLD", "Lift a hold: by two people, one after the other",
      "The first asks, the second lifts.\n\n" SIGN_HELP SECRET_HELP },
    { "retain", cmd_retain, "[--json] [--class C --keep PERIOD] [--user U] DIR [REQUEST]",
      "How long each class is kept: show, ask, approve",
      "Without options: class, months (0: always), who asked, who approved, and the number\n"
      "and months of a request that is open. Everything is kept until a rule is set.\n\n"
      "  --class C        images, results, events or recordings\n"
      "  --keep PERIOD    'N months', 'N years' or always; 'usual': 5 years for recordings\n"
      "  --user U         who signs; a longer period is set at once\n\n"
      "A shorter period is a request, whose number is said; another person approves it\n"
      "with fanal retain --user U DIR REQUEST. Holds keep what they cover.\n\n" SIGN_HELP SECRET_HELP },
    { "expire", cmd_expire, "[--plan [--class C --keep PERIOD]] [--json] [--user U] DIR",
      "Erase now what the rules of retention make due",
      "Also done once a day. Destroys the data keys of what is due, then removes body files\n"
      "of which nothing can be read any more. Says how many units and files.\n\n"
      "  --plan           changes nothing: how much would be erased, and when it was received\n"
      "  --class, --keep  as if that were the rule (fanal retain --help): look before you ask\n\n"
      SIGN_HELP SECRET_HELP },
    { "holds", cmd_holds, "[--json] DIR", "List the holds",
      "Number, state (held, lift-asked, lifted), units, who set it, who asked to lift it, why.\n\n" SECRET_HELP },
    { "copy", cmd_copy, "(add | applied | remove | list) [options] DIR [NAME [POSITION]]",
      "Copies of the keys elsewhere, and how far each has come",
      "  add DIR NAME               there is a copy (a back-up of DIR, say)\n"
      "  applied DIR NAME POSITION  it was made, or erased, after every tombstone below\n"
      "                             POSITION\n"
      "  remove DIR NAME            it was destroyed\n"
      "  list DIR                   name, position; --json: one object a line\n\n"
      "erasures lists each copy until it has applied an erasure.\n\n" SIGN_HELP SECRET_HELP },
    { "user", cmd_user, "(add | password | disable | list) [options] DIR [USER]", "Accounts of people",
      "  add DIR USER --role R        physician, admin or dpo; the first account is made on\n"
      "                               the page with the enrolment code\n"
      "  password DIR USER            a new password; signs USER out\n"
      "  disable DIR USER             may not sign in any more\n"
      "  list DIR                     user, role, state, name; --json: one object a line\n\n"
      "  --name N            how the page calls the user\n"
      "  --password-file F   the password is the content of F, without the newline at its\n"
      "                      end; without it it is asked for on the terminal\n\n" SECRET_HELP },
};

const size_t cli_command_count = sizeof cli_commands / sizeof cli_commands[0];
