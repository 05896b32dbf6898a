/* fanal.conf: what is taken, what is refused and with which line, and who matches. */
#include "cmd/conf.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/writer.h"

#include "../test.h"

/* PeterNeumann of Go's sumdb/note, and the same key as a witness's */
#define LOG_KEY     "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
#define WITNESS_KEY "PeterNeumann+18b9780b+BBpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"

#define FULL                                                                                                           \
    "[site]\ntimezone = Europe/Paris\nuser = fanal\n"                                                                  \
    "[listen]\ndicom = 127.0.0.1:11112, [::1]:11112\n"                                                                 \
    "hl7 = 10.0.0.1:0\nhttps = off\n"                                                                                  \
    "[dicom]\nae = FANAL ER\n"                                                                                         \
    "storage_classes = 1.2.3, 1.2.4\n"                                                                                 \
    "  1.2.5\n"                                                                                                        \
    "[peer CT1]\nae = CT1\naddress = 127.0.0.1, 10.1.0.0/16, 2001:db8::/32\n"                                          \
    "may = query, retrieve\nissuer = HOSPITAL\n"                                                                       \
    "[peer MR]\nae=MR\naddress=10.2.0.0/16 ; the ward\nissuer = HOSPITAL\n"                                            \
    "[sender LIS] # results\naddress = 10.3.0.1\nissuer = LAB\nunsupported = keep\n"                                   \
    "[limits]\ndicom_connections = 16\nhttps_connections_per_address = 2\n"                                          \
    "[disk]\nreserve = 500 MiB\n"                                                                                  \
    "[scrub]\nrate = 20 MiB\ninterval = 48\n"                                                                      \
    "[unseal]\nat_start = stay-sealed\n"                                                                          \
    "[store]\nsegment_size = 2 MiB\nbody_file_size = 3 MiB\n"                                                              \
    "[witness W]\nurl = https://10.0.0.7:8444\nca = w.pem\nkey = " WITNESS_KEY "\nevery = 2 h\n"                       \
    "[timestamp W]\nurl = http://tsa.test/tsr\naddress = 10.0.0.8\nca = /etc/tsa.pem\n"                               \
    "[log PEER]\nvkey = " LOG_KEY "\n"                                                                                \
    "[twin SECOND]\ncertificate = 0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\nalarm = 5\n"        \
    "[follow]\nfirst = 10.0.0.5:7443\n"                                                                               \
    "pin = 01:23:45:67:89:ab:cd:ef:01:23:45:67:89:ab:cd:ef:01:23:45:67:89:ab:cd:ef:01:23:45:67:89:ab:cd:ef\n"

TEST(every_key_is_read)
{
    struct conf c;
    struct error err = { 0 };
    const struct sockaddr_in6 *v6;

    CHECK_ROW(err.text, conf_parse(SPAN_LIT(FULL), &c, &err));
    CHECK(strcmp(c.timezone, "Europe/Paris") == 0 && strcmp(c.user, "fanal") == 0 && strcmp(c.ae, "FANAL ER") == 0);
    CHECK(c.dicom.address_count == 2 && c.hl7.address_count == 1 && c.https.address_count == 0);
    v6 = (const struct sockaddr_in6 *)&c.dicom.addresses[1];
    CHECK(v6->sin6_family == AF_INET6 && ntohs(v6->sin6_port) == 11112);
    CHECK(c.storage_class_count == 3 && strcmp(c.storage_classes[2], "1.2.5") == 0);
    CHECK(c.peer_count == 2 && !c.peers[0].may_store && c.peers[0].may_query && c.peers[0].may_retrieve);
    CHECK(c.peers[0].address.count == 3 && strcmp(c.peers[0].issuer, "HOSPITAL") == 0);
    CHECK(c.peers[1].may_store && !c.peers[1].may_query && c.peers[1].address.count == 1);
    CHECK(c.anchor_count == 2 && c.anchors[0].is_witness && c.anchors[0].every_s == 7200 && strcmp(c.anchors[0].ca, "w.pem") == 0);
    CHECK(!c.anchors[1].is_witness && c.anchors[1].every_s == 3600 && strcmp(c.anchors[1].address, "10.0.0.8") == 0);
    CHECK(c.log_count == 1 && strcmp(c.logs[0].key.name, "PeterNeumann") == 0);
    CHECK(c.sender_count == 1 && c.senders[0].keep_unsupported && strcmp(c.senders[0].name, "LIS") == 0);
    CHECK(c.dicom.connections == 16 && c.https.connections_per_address == 2);
    CHECK(c.hl7.connections == CONF_CONNECTIONS_DEFAULT);
    CHECK(c.disk_reserve == (uint64_t)500 << 20);
    CHECK(c.scrub_rate == (uint64_t)20 << 20 && c.scrub_interval_hours == 48);
    CHECK(c.segment_bytes == (uint64_t)2 << 20 && c.body_file_bytes == (uint64_t)3 << 20);
    CHECK(c.at_start == UNSEAL_STAY_SEALED);
    CHECK(c.twin_count == 1 && strcmp(c.twins[0].name, "SECOND") == 0 && c.twins[0].alarm_minutes == 5);
    CHECK(strncmp(c.twins[0].certificate, "0123456789abcdef", 16) == 0);
    CHECK(strcmp(c.following.first, "10.0.0.5:7443") == 0 && strcmp(c.following.pin, c.twins[0].certificate) == 0);
    conf_done(&c);
}

TEST(nothing_is_needed)
{
    struct conf c;
    struct error err = { 0 };

    CHECK_ROW(err.text, conf_parse(SPAN_LIT(""), &c, &err));
    CHECK(strcmp(c.timezone, "UTC") == 0 && strcmp(c.ae, "FANAL") == 0 && c.peer_count == 0);
    CHECK(c.scrub_rate == CONF_SCRUB_RATE_DEFAULT && c.scrub_interval_hours == CONF_SCRUB_INTERVAL_DEFAULT);
    CHECK(c.at_start == UNSEAL_ASK);
    conf_done(&c);
}

TEST(the_default_is_valid_and_lets_nobody_in)
{
    struct conf c;
    struct error err = { 0 };

    CHECK_ROW(err.text, conf_parse(span_str(conf_default_text()), &c, &err));
    CHECK(c.peer_count == 0 && c.sender_count == 0 && !c.listen_public);
    CHECK(c.dicom.address_count == 1 && c.hl7.address_count == 1 && c.https.address_count == 1);
    conf_done(&c);
}

#define PEER    "[peer A]\nae = A\naddress = 10.0.0.1\nissuer = X\n"
#define SENDER  "[sender A]\naddress = 10.0.0.1\nissuer = X\n"
#define LONG_50 "01234567890123456789012345678901234567890123456789"

TEST(what_is_wrong_is_named_with_its_line)
{
    const struct {
        const char *name, *text, *want; /* want: how the error begins */
    } rows[] = {
        { "unknown key", "[site]\n\ntimezone = UTC\ncolour = red\n", "line 4: unknown key \"colour\" in [site]" },
        { "key of another section", "[site]\nae = X\n", "line 2: unknown key" },
        { "witness without key", "[witness W]\nurl = https://1.2.3.4\nca = a\n", "line 1: section [witness …] lacks key" },
        { "witness over TLS without ca", "[witness W]\nurl = https://1.2.3.4\nkey = " WITNESS_KEY "\n", "line 1: [witness W] lacks ca" },
        { "a host and no address", "\n[timestamp T]\nurl = http://tsa.test\nca = a\n", "line 2: [timestamp T] names a host" },
        { "address that is a name", "[timestamp T]\nurl = http://a.test\naddress = a.test\n", "line 3: address: an IPv4 or IPv6" },
        { "url of another scheme", "[timestamp T]\nurl = ftp://1.2.3.4\n", "line 2: url: http://" },
        { "key of a log for a witness", "[witness W]\nkey = " LOG_KEY "\n", "line 2: key: the key of a witness" },
        { "key of a witness for a log", "[log L]\nvkey = " WITNESS_KEY "\n", "line 2: vkey: the key of a log" },
        { "key with a typing error", "[log L]\nvkey = Peter+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n",
          "line 2: vkey: a verifier key whose ID is not its own" },
        { "every without a unit", "[timestamp T]\nevery = 60\n", "line 2: every: a time from 1 s" },
        { "every of 32 days", "[timestamp T]\nevery = 32 d\n", "line 2: every: a time from 1 s" },
        { "the same log twice", "[log L]\nvkey = " LOG_KEY "\n[log M]\nvkey = " LOG_KEY "\n", "line 4: vkey: [log L] has this origin" },
        { "the same witness twice", "[witness W]\nurl = http://1.2.3.4\nkey = " WITNESS_KEY "\n[witness W]\n", "line 4: section is there already" },
        { "unknown section", "[site]\n[sight]\n", "line 2: unknown section" },
        { "empty unknown section", "[lisen]\n", "line 1: unknown section" },
        { "key before any section", "timezone = UTC\n", "line 1: key before" },
        { "no equals sign", "[site]\ntimezone UTC\n", "line 2: neither" },
        { "garbage behind a section", "[site] x\n", "line 1: section is not" },
        { "section not closed", "[site\n", "line 1: section is not" },
        { "section indented", "[site]\ntimezone = UTC\n [listen]\n", "line 3: section is indented" },
        { "section twice", "[site]\n[listen]\n[site]\n", "line 3: section is there" },
        { "peer twice", PEER PEER, "line 5: section is there" },
        { "sender twice", SENDER SENDER, "line 4: section is there" },
        { "no way to open", "[unseal]\nat_start = hope\n", "line 2: at_start: ask, credential or stay-sealed" },
        { "key twice", "[site]\ntimezone = UTC\ntimezone = UTC\n", "line 3: timezone is there" },
        { "key continued that is no list", "[dicom]\nae = A\n  B\n", "line 3: ae is there" },
        { "site with a name", "[site X]\n", "line 1: [site] has no name" },
        { "peer without name", "[peer]\n", "line 1: [peer] wants a name" },
        { "peer with a bad name", "[peer a=b]\n", "line 1: [peer] wants a name" },
        { "peer name too long", "[peer 012345678901234567890123456789012]\n", "line 1: [peer] wants a name" },
        { "peer without ae", "\n[peer A]\naddress = 10.0.0.1\nissuer = X\n[site]\n",
          "line 2: section [peer …] lacks ae" },
        { "last peer without address", "[peer A]\nae = A\nissuer = X\n", "line 1: section [peer …] lacks address" },
        { "sender without issuer", "[sender A]\naddress = 10.0.0.1\n", "line 1: section [sender …] lacks issuer" },
        { "ae of 17 characters", "[dicom]\nae = 01234567890123456\n", "line 2: ae: an AE title" },
        { "empty ae", "[dicom]\nae =\n", "line 2: ae: an AE title" },
        { "ae with a backslash", "[dicom]\nae = A\\B\n", "line 2: ae: an AE title" },
        { "zone that is none", "[site]\ntimezone = Mars/Olympus\n", "line 2: timezone: UTC or" },
        { "zone outside of the folder", "[site]\ntimezone = ../../../etc/localtime\n", "line 2: timezone: UTC or" },
        { "zone that is another file", "[site]\ntimezone = tzdata.zi\n", "line 2: timezone: UTC or" },
        { "no port", "[listen]\ndicom = 127.0.0.1\n", "line 2: dicom: address:port" },
        { "port too large", "[listen]\ndicom = 127.0.0.1:65536\n", "line 2: dicom: address:port" },
        { "port with a sign", "[listen]\ndicom = 127.0.0.1:+80\n", "line 2: dicom: address:port" },
        { "name for an address", "[listen]\nhl7 = localhost:80\n", "line 2: hl7: address:port" },
        { "IPv6 without brackets", "[listen]\nhl7 = ::1:80\n", "line 2: hl7: address:port" },
        { "five addresses", "[listen]\nhl7 = 127.0.0.1:1,127.0.0.1:2,127.0.0.1:3,127.0.0.1:4,127.0.0.1:5\n",
          "line 2: hl7: more" },
        { "public address", "[listen]\nhttps = 8.8.8.8:443\n", "line 2: [listen] has an address" },
        { "every address", "[listen]\nhttps = 0.0.0.0:443\n", "line 2: [listen] has an address" },
        { "public neither yes nor no", "[listen]\npublic = true\n", "line 2: public: yes or no" },
        { "no address", PEER "[sender B]\naddress = hospital.lan\nissuer = X\n", "line 6: address: IPv4" },
        { "empty item", "[sender B]\naddress = 10.0.0.1,,10.0.0.2\n", "line 2: address: IPv4" },
        { "bits behind the prefix", "[sender B]\naddress = 10.0.0.1/8\n", "line 2: address: IPv4" },
        { "prefix too long", "[sender B]\naddress = 10.0.0.0/33\n", "line 2: address: IPv4" },
        { "short fingerprint", "[twin A]\ncertificate = 0123\n", "line 2: certificate: the SHA-256" },
        { "twin without certificate", "[twin A]\nalarm = 1\n", "line 1: section [twin" },
        { "first by name", "[follow]\nfirst = fanal.example:7443\n", "line 2: first: address:port" },
        { "unknown right", "[peer A]\nmay = delete\n", "line 2: may: store" },
        { "unknown way", "[sender A]\nunsupported = drop\n", "line 2: unsupported: keep" },
        { "no connection at all", "[limits]\nhl7_connections = 0\n", "line 2: hl7_connections: a number" },
        { "too many connections", "[limits]\nhl7_connections = 1001\n", "line 2: hl7_connections: a number" },
        { "a reserve without a unit", "[disk]\nreserve = 2\n", "line 2: reserve: a size" },
        { "a reserve with another unit", "[disk]\nreserve = 2 GB\n", "line 2: reserve: a size" },
        { "a reserve too small", "[disk]\nreserve = 15 MiB\n", "line 2: reserve: a size" },
        { "a reserve too large", "[disk]\nreserve = 1025 GiB\n", "line 2: reserve: a size" },
        { "a reserve whose bytes would wrap", "[disk]\nreserve = 16777216 TiB\n", "line 2: reserve: a size" },
        { "a reserve below nothing", "[disk]\nreserve = -2 GiB\n", "line 2: reserve: a size" },
        { "a rate without a unit", "[scrub]\nrate = 8\n", "line 2: rate: a size" },
        { "a rate of nothing", "[scrub]\nrate = 0 MiB\n", "line 2: rate: a size" },
        { "a rate too large", "[scrub]\nrate = 1025 MiB\n", "line 2: rate: a size" },
        { "rounds too rare", "[scrub]\ninterval = 8761\n", "line 2: interval: a number" },
        { "a segment too small", "[store]\nsegment_size = 0 MiB\n", "line 2: segment_size: a size" },
        { "a segment beyond its offsets", "[store]\nsegment_size = 4 GiB\n", "line 2: segment_size: a size" },
        { "a body file too large", "[store]\nbody_file_size = 17 GiB\n", "line 2: body_file_size: a size" },
        { "no UID", "[dicom]\nstorage_classes = CT\n", "line 2: storage_classes: SOP" },
        { "line too long", "[site]\n#" LONG_50 LONG_50 LONG_50 LONG_50 "\n", "line 2: line is longer" },
        { "same peer under two names", PEER "[peer B]\nae = A\naddress = 10.0.0.0/8\nissuer = X\n",
          "line 8: [peer A] and [peer B]" },
        { "same sender under two names", SENDER "[sender B]\naddress = 10.0.0.0/8\nissuer = X\n",
          "line 6: [sender A] and [sender B]" },
    };

    EACH(row, rows)
    {
        struct conf c;
        struct error err = { 0 };

        CHECK_ROW(row->name, !conf_parse(span_str(row->text), &c, &err));
        if (strncmp(err.text, row->want, strlen(row->want)) != 0)
            print_error("%s\n", err.text);
        CHECK_ROW(row->name, err.code == ERR_USAGE && strncmp(err.text, row->want, strlen(row->want)) == 0);
    }
}

TEST(bytes_that_are_no_text_are_refused)
{
    struct conf c;
    struct error err = { 0 };
    static uint8_t big[CONF_BYTES_MAX + 1];

    CHECK(!conf_parse(SPAN_LIT("[site]\ntimezone = U\0TC\n"), &c, &err) && strstr(err.text, "line 2") != NULL);
    memset(big, '\n', sizeof big);
    CHECK(!conf_parse(span_of(big, sizeof big), &c, &err) && err.code == ERR_LIMIT);
    CHECK(conf_parse(span_of(big, sizeof big - 1), &c, &err));
    conf_done(&c);
}

TEST(anchors_and_logs_have_limits)
{
    struct writer w = writer_new(CONF_BYTES_MAX);
    struct conf c;
    struct error err = { 0 };

    for (unsigned i = 0; i < CONF_ANCHORS_MAX; i++)
        write_printf(&w, "[witness W%u]\nurl = http://1.2.3.4\nkey = " WITNESS_KEY "\n", i);
    CHECK(conf_parse(writer_span(&w), &c, &err) && c.anchor_count == CONF_ANCHORS_MAX);
    conf_done(&c);
    write_str(&w, "[timestamp T]\n");
    CHECK(!conf_parse(writer_span(&w), &c, &err) && strstr(err.text, "more than 16 witnesses") != NULL);
    writer_done(&w);
}

TEST(lists_have_limits)
{
    struct writer w = writer_new(CONF_BYTES_MAX);
    struct conf c;
    struct error err = { 0 };

    for (int i = 0; i < CONF_PEERS_MAX; i++)
        write_printf(&w, "[peer P%d]\nae = P%d\naddress = 10.0.0.1\nissuer = X\n", i, i);
    CHECK_ROW(err.text, conf_parse(writer_span(&w), &c, &err));
    CHECK(c.peer_count == CONF_PEERS_MAX);
    conf_done(&c);
    write_str(&w, "[peer TOOMANY]\n");
    CHECK(!conf_parse(writer_span(&w), &c, &err) && strstr(err.text, "more than 256 peers") != NULL);
    writer_reset(&w);
    write_str(&w, "[sender A]\naddress = 10.0.0.0\n");
    for (int i = 1; i <= CONF_NETWORKS_MAX; i++)
        write_printf(&w, "  10.0.0.%d\n", i);
    CHECK(!conf_parse(writer_span(&w), &c, &err) && strstr(err.text, "line 34: address: more than 32") != NULL);
    writer_done(&w);
}

TEST(peers_match_by_title_and_address)
{
    const struct {
        const char *ae, *address, *want; /* want: name, or "" for nobody */
    } rows[] = {
        { "CT1", "127.0.0.1", "CT1" },
        { "CT1             ", "10.1.255.255", "CT1" },
        { "  CT1", "10.1.0.0", "CT1" },
        { "CT1", "::ffff:10.1.2.3", "CT1" }, /* an IPv4 peer on an IPv6 socket */
        { "CT1", "2001:db8:ffff::1", "CT1" },
        { "CT1", "10.2.0.1", "" },
        { "CT1", "2001:db9::1", "" },
        { "ct1", "127.0.0.1", "" },
        { "CT", "127.0.0.1", "" },
        { "CT11", "127.0.0.1", "" },
        { "", "127.0.0.1", "" },
        { "MR", "10.2.9.9", "MR" },
        { "MR", "not an address", "" },
        { "MR", "", "" },
    };
    struct conf c;
    struct error err;

    CHECK(conf_parse(SPAN_LIT(FULL), &c, &err));
    EACH(row, rows)
    {
        const struct conf_peer *p = conf_peer_match(&c, span_str(row->ae), span_str(row->address));

        CHECK_ROW(row->address, strcmp(p == NULL ? "" : p->name, row->want) == 0);
    }
    CHECK(conf_peer_match(&c, SPAN_LIT("MR\0\0\0"), SPAN_LIT("10.2.0.1")) != NULL);
    CHECK(conf_sender_match(&c, SPAN_LIT("10.3.0.1")) != NULL && conf_sender_match(&c, SPAN_LIT("10.3.0.2")) == NULL);
    CHECK(conf_is_our_ae(&c, SPAN_LIT("FANAL ER        ")) && !conf_is_our_ae(&c, SPAN_LIT("FANAL")));
    conf_done(&c);
}

TEST(prefixes_end_anywhere_in_a_byte)
{
    for (unsigned bits = 0; bits <= 32; bits++) {
        struct conf_networks n = { .count = 1 };
        char text[32];

        /* all ones as far as the prefix goes: the next bit decides nothing, the last one does */
        uint32_t mask = bits == 0 ? 0 : UINT32_MAX << (32 - bits);
        struct in_addr inside = { htonl(mask | 1) }, outside = { htonl(bits == 0 ? 0 : mask ^ 1u << (32 - bits)) };

        (void)snprintf(text, sizeof text, "%s/%u", inet_ntoa((struct in_addr){ htonl(mask) }), bits);
        CHECK_ROW(text, conf_network_parse(span_str(text), &n.items[0]));
        CHECK_ROW(text, conf_networks_hold(&n, span_str(inet_ntoa(inside))));
        CHECK_ROW(text, bits == 0 || !conf_networks_hold(&n, span_str(inet_ntoa(outside))));
    }
}

TESTS(T(every_key_is_read), T(nothing_is_needed), T(the_default_is_valid_and_lets_nobody_in),
      T(what_is_wrong_is_named_with_its_line), T(bytes_that_are_no_text_are_refused),
      T(anchors_and_logs_have_limits), T(lists_have_limits),
      T(peers_match_by_title_and_address), T(prefixes_end_anywhere_in_a_byte))
