#include "tests/support/testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "ioloop/netutil.h"
#include "tests/support/fakenames.h"
#include "tests/support/faults.h"

const struct fakename fakenames[] = {
    { "localhost", { "::1", "127.0.0.1", "fe80::1%1" } },
    { "twice.test", { "127.0.0.1", "127.0.0.2", "127.0.0.1" } },
    { NULL, { NULL } },
};

static const struct netutil_bind_options ipv4 = { .address = "127.0.0.1" };
static const struct netutil_bind_options localhost = { .address = "localhost" };

static void close_fds(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

/* Listening on IP. */

static int family_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;

    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    return address.ss_family;
}

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;

    assert_int_equal(getsockopt(fd, level, name, &value, &length), 0);
    return value;
}

/* netutil_test:test_same_port_allocation */
static void gives_one_port_to_all_families(void **state)
{
    int expected = testing_has_ipv6() ? 2 : 1;
    int fds[8];

    for (int i = 0; i < 20; i++) {
        int count = netutil_bind_sockets(fds, 8, 0, NULL);
        assert_int_equal(count, expected);
        int port = netutil_bound_port(fds[0]);
        assert_true(port > 0);
        for (int k = 1; k < count; k++)
            assert_int_equal(netutil_bound_port(fds[k]), port);
        close_fds(fds, count);
    }
}

/* netutil_test:test_reuse_port */
static void shares_a_port_only_when_asked_to(void **state)
{
    struct netutil_bind_options options = { .address = "127.0.0.1", .reuse_port = true };
    int fds[3];

    assert_int_equal(netutil_bind_sockets(&fds[0], 1, 0, &options), 1);
    int port = netutil_bound_port(fds[0]);
    assert_int_equal(netutil_bind_sockets(&fds[1], 1, port, &options), 1);
    assert_int_equal(netutil_bound_port(fds[1]), port);
    options.reuse_port = false;
    assert_int_equal(netutil_bind_sockets(&fds[2], 1, port, &options), -EADDRINUSE);
    close_fds(fds, 2);
}

static void listens_on_all_interfaces_ipv4_first(void **state)
{
    int fds[8];
    int count = netutil_bind_sockets(fds, 8, 0, &(struct netutil_bind_options){ .address = "" });

    assert_int_equal(count, testing_has_ipv6() ? 2 : 1);
    assert_int_equal(family_of(fds[0]), AF_INET);
    for (int i = 0; i < count; i++) {
        assert_true(fcntl(fds[i], F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        assert_int_equal(option_of(fds[i], SOL_SOCKET, SO_REUSEADDR), 1);
        assert_int_equal(option_of(fds[i], IPPROTO_TCP, TCP_NODELAY), 1);
        assert_int_equal(option_of(fds[i], SOL_SOCKET, SO_ACCEPTCONN), 1);
    }
    if (count == 2) {
        assert_int_equal(family_of(fds[1]), AF_INET6);
        assert_int_equal(option_of(fds[1], IPPROTO_IPV6, IPV6_V6ONLY), 1);
    }
    close_fds(fds, count);
}

static void listens_on_one_family_when_asked_to(void **state)
{
    int fds[8];

    assert_int_equal(netutil_bind_sockets(fds, 8, 0, &(struct netutil_bind_options){ .family = AF_INET }), 1);
    assert_int_equal(family_of(fds[0]), AF_INET);
    close(fds[0]);
    if (!testing_has_ipv6())
        return;
    assert_int_equal(netutil_bind_sockets(fds, 8, 0, &(struct netutil_bind_options){ .family = AF_INET6 }), 1);
    assert_int_equal(family_of(fds[0]), AF_INET6);
    close(fds[0]);
    assert_int_equal(netutil_bind_sockets(fds, 8, 0, &(struct netutil_bind_options){ .address = "::1" }), 1);
    assert_int_equal(family_of(fds[0]), AF_INET6);
    close(fds[0]);
}

static void refuses_what_makes_no_sense(void **state)
{
    int fds[8];

    assert_int_equal(netutil_bind_sockets(fds, 8, -1, NULL), -EINVAL);
    assert_int_equal(netutil_bind_sockets(fds, 8, 65536, NULL), -EINVAL);
    assert_int_equal(netutil_bind_sockets(fds, 8, 0, &(struct netutil_bind_options){ .family = AF_UNIX }), -EINVAL);
    assert_int_equal(netutil_bind_sockets(fds, 0, 0, &ipv4), -ENOSPC);
    assert_int_equal(netutil_bind_sockets(fds, 8, 0, &(struct netutil_bind_options){ .address = "192.0.2.1" }),
                     -EADDRNOTAVAIL);
    if (testing_has_ipv6())
        assert_int_equal(netutil_bind_sockets(fds, 1, 0, NULL), -ENOSPC);
}

static void tells_why_a_name_was_not_resolved(void **state)
{
    static const struct {
        int gai, error;
    } cases[] = {
        { EAI_NONAME, -ENXIO },
        { EAI_AGAIN, -ENXIO },
        { EAI_FAIL, -ENXIO },
        { EAI_MEMORY, -ENOMEM },
    };
    int fds[8];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        faults_system_call("getaddrinfo", cases[i].gai, 1);
        assert_int_equal(netutil_bind_sockets(fds, 8, 0, &ipv4), cases[i].error);
        assert_true(faults_hit());
    }
    faults_system_call("getaddrinfo", EAI_SYSTEM, 1);
    errno = EMFILE;
    assert_int_equal(netutil_bind_sockets(fds, 8, 0, &ipv4), -EMFILE);
    faults_end();
}

/* A kernel without IPv6 refuses the socket, a container with the address on no interface the bind. */
static void serves_ipv4_where_ipv6_is_missing(void **state)
{
    int fds[8];

    if (!testing_has_ipv6())
        return;
    faults_system_call("socket", EAFNOSUPPORT, 2);
    assert_int_equal(netutil_bind_sockets(fds, 8, 0, NULL), 1);
    assert_true(faults_hit());
    assert_int_equal(family_of(fds[0]), AF_INET);
    close(fds[0]);
    faults_system_call_sticky("socket", EAFNOSUPPORT, 1);
    assert_int_equal(netutil_bind_sockets(fds, 8, 0, NULL), -EAFNOSUPPORT);
    faults_end();

    faults_system_call("bind", EADDRNOTAVAIL, 2);
    assert_int_equal(netutil_bind_sockets(fds, 8, 0, &localhost), 1);
    assert_true(faults_hit());
    assert_int_equal(family_of(fds[0]), AF_INET);
    close(fds[0]);
    faults_system_call("bind", EADDRNOTAVAIL, 1); /* IPv4 there has to be */
    assert_int_equal(netutil_bind_sockets(fds, 8, 0, &localhost), -EADDRNOTAVAIL);
    faults_system_call("bind", EADDRNOTAVAIL, 1); /* and what was asked for by its address */
    assert_int_equal(netutil_bind_sockets(fds, 8, 0, &(struct netutil_bind_options){ .address = "::1" }),
                     -EADDRNOTAVAIL);
    faults_end();
}

/* The name of the loopback, with a link-local address among its own as macOS has it. */
static void binds_the_loopback_by_its_name(void **state)
{
    int fds[8], expected = testing_has_ipv6() ? 2 : 1;

    assert_int_equal(netutil_bind_sockets(fds, 8, 0, &localhost), expected);
    assert_int_equal(family_of(fds[0]), AF_INET);
    assert_int_equal(netutil_bound_port(fds[expected - 1]), netutil_bound_port(fds[0]));
    close_fds(fds, expected);
}

static void binds_an_address_once_that_its_name_has_twice(void **state)
{
    int fds[8];

    assert_int_equal(netutil_bind_sockets(fds, 8, 0, &(struct netutil_bind_options){ .address = "twice.test" }), 2);
    assert_int_equal(netutil_bound_port(fds[1]), netutil_bound_port(fds[0]));
    close_fds(fds, 2);
}

static void asks_for_another_port_when_one_family_has_it_taken(void **state)
{
    int fds[8];
    int expected = testing_has_ipv6() ? 2 : 1;

    faults_system_call("bind", EADDRINUSE, expected);
    assert_int_equal(netutil_bind_sockets(fds, 8, 0, NULL), expected);
    assert_true(faults_hit());
    close_fds(fds, expected);
    faults_system_call_sticky("bind", EADDRINUSE, 1);
    assert_int_equal(netutil_bind_sockets(fds, 8, 0, NULL), -EADDRINUSE);
    faults_end();
}

static void leaves_no_socket_when_a_call_fails(void **state)
{
    static const char *const calls[] = { "socket", "setsockopt", "bind", "listen" };
    int fds[8], before = testing_count_fds();

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        for (int nth = 1;; nth++) {
            faults_system_call(calls[i], EACCES, nth);
            int count = netutil_bind_sockets(fds, 8, 0, NULL);
            bool hit = faults_hit();
            if (!hit)
                close_fds(fds, count);
            assert_int_equal(testing_count_fds(), before);
            if (!hit)
                break;
            assert_int_equal(count, -EACCES);
        }
    }
    faults_end();
}

/* Listening on Unix sockets. */

struct folder {
    char name[32];
    char path[64];
};

static void make_folder(struct folder *folder)
{
    strcpy(folder->name, "/tmp/test_netutil_XXXXXX");
    assert_non_null(mkdtemp(folder->name));
    snprintf(folder->path, sizeof folder->path, "%s/socket", folder->name);
}

static void remove_folder(struct folder *folder)
{
    unlink(folder->path);
    assert_int_equal(rmdir(folder->name), 0);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + (path[0] != '@'));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    if (connect(fd, (struct sockaddr *)&address, length) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

static unsigned mode_of(const char *path)
{
    struct stat status;

    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    return status.st_mode & 07777;
}

static void makes_a_unix_socket_for_its_owner_alone(void **state)
{
    struct folder folder;

    make_folder(&folder);
    mode_t mask = umask(0);
    int fd = netutil_bind_unix_socket(folder.path, 0, 0);
    umask(mask);
    assert_true(fd >= 0);
    assert_int_equal(mode_of(folder.path), 0600);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    int client = connect_unix(folder.path);
    assert_true(client >= 0);
    close(client);
    close(fd);
    remove_folder(&folder);
}

static void gives_a_unix_socket_the_mode_it_is_told(void **state)
{
    struct folder folder;

    make_folder(&folder);
    mode_t mask = umask(0077);
    int fd = netutil_bind_unix_socket(folder.path, 0666, 16);
    umask(mask);
    assert_true(fd >= 0);
    assert_int_equal(mode_of(folder.path), 0666);
    close(fd);
    remove_folder(&folder);
}

static void replaces_a_socket_file_that_nobody_serves(void **state)
{
    struct folder folder;

    make_folder(&folder);
    int fd = netutil_bind_unix_socket(folder.path, 0, 0);
    close(fd);
    assert_int_equal(connect_unix(folder.path), -ECONNREFUSED);
    fd = netutil_bind_unix_socket(folder.path, 0, 0);
    assert_true(fd >= 0);
    int client = connect_unix(folder.path);
    assert_true(client >= 0);
    close(client);
    close(fd);
    remove_folder(&folder);
}

static void does_not_touch_a_live_server(void **state)
{
    struct folder folder;

    make_folder(&folder);
    int fd = netutil_bind_unix_socket(folder.path, 0, 0);
    assert_int_equal(netutil_bind_unix_socket(folder.path, 0, 0), -EADDRINUSE);
    int client = connect_unix(folder.path);
    assert_true(client >= 0);
    close(client);
    close(fd);
    remove_folder(&folder);
}

/* A full queue makes a live server answer EAGAIN, which is not a refusal. */
static void does_not_touch_a_live_server_that_is_busy(void **state)
{
    struct folder folder;
    int clients[8], count = 0;

    make_folder(&folder);
    int fd = netutil_bind_unix_socket(folder.path, 0, 1);
    for (; count < 8; count++) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        strcpy(address.sun_path, folder.path);
        clients[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(clients[count], (struct sockaddr *)&address, sizeof address) < 0)
            break;
    }
    assert_true(count < 8);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(netutil_bind_unix_socket(folder.path, 0, 0), -EADDRINUSE);
    assert_int_equal(mode_of(folder.path), 0600);
    close_fds(clients, count + 1);
    close(fd);
    remove_folder(&folder);
}

static void does_not_touch_a_file_that_is_no_socket(void **state)
{
    struct folder folder;
    struct stat before, after;

    make_folder(&folder);
    int file = open(folder.path, O_CREAT | O_WRONLY, 0644);
    assert_int_equal(fstat(file, &before), 0);
    close(file);
    assert_int_equal(netutil_bind_unix_socket(folder.path, 0, 0), -EEXIST);
    assert_int_equal(stat(folder.path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(before.st_mode, after.st_mode);
    unlink(folder.path);
    assert_int_equal(symlink("/nonexistent", folder.path), 0);
    assert_int_equal(netutil_bind_unix_socket(folder.path, 0, 0), -EEXIST);
    assert_int_equal(lstat(folder.path, &after), 0);
    assert_true(S_ISLNK(after.st_mode));
    remove_folder(&folder);
}

static void listens_in_the_abstract_name_space(void **state)
{
    char name[64];

    snprintf(name, sizeof name, "@test_netutil_%d", (int)getpid());
    int fd = netutil_bind_unix_socket(name, 0, 0);
    assert_true(fd >= 0);
    assert_int_equal(access(name, F_OK), -1);
    int client = connect_unix(name);
    assert_true(client >= 0);
    assert_int_equal(netutil_bind_unix_socket(name, 0, 0), -EADDRINUSE);
    close(client);
    close(fd);
    assert_int_equal(connect_unix(name), -ECONNREFUSED); /* it goes with its socket */
}

static void refuses_a_path_that_is_none(void **state)
{
    char endless[200] = "";

    assert_int_equal(netutil_bind_unix_socket("", 0, 0), -EINVAL);
    assert_int_equal(netutil_bind_unix_socket(NULL, 0, 0), -EINVAL);
    assert_int_equal(netutil_bind_unix_socket(memset(endless, 'a', 199), 0, 0), -ENAMETOOLONG);
    assert_int_equal(netutil_bind_unix_socket("/nonexistent/socket", 0, 0), -ENOENT);
}

static void leaves_neither_socket_nor_file_when_a_call_fails(void **state)
{
    static const char *const calls[] = { "socket", "bind", "listen" };
    struct folder folder;
    int before = testing_count_fds();

    make_folder(&folder);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        faults_system_call(calls[i], EACCES, 1);
        assert_int_equal(netutil_bind_unix_socket(folder.path, 0, 0), -EACCES);
        assert_true(faults_hit());
        assert_int_equal(testing_count_fds(), before);
        assert_int_equal(access(folder.path, F_OK), -1);
    }
    close(netutil_bind_unix_socket(folder.path, 0, 0));
    faults_system_call("socket", EMFILE, 2); /* the one that asks whether the file is served */
    assert_int_equal(netutil_bind_unix_socket(folder.path, 0, 0), -EMFILE);
    assert_true(faults_hit());
    assert_int_equal(testing_count_fds(), before);
    remove_folder(&folder);
    faults_end();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(gives_one_port_to_all_families),
    cmocka_unit_test(shares_a_port_only_when_asked_to),
    cmocka_unit_test(listens_on_all_interfaces_ipv4_first),
    cmocka_unit_test(listens_on_one_family_when_asked_to),
    cmocka_unit_test(refuses_what_makes_no_sense),
    cmocka_unit_test(tells_why_a_name_was_not_resolved),
    cmocka_unit_test(serves_ipv4_where_ipv6_is_missing),
    cmocka_unit_test(binds_the_loopback_by_its_name),
    cmocka_unit_test(binds_an_address_once_that_its_name_has_twice),
    cmocka_unit_test(asks_for_another_port_when_one_family_has_it_taken),
    cmocka_unit_test(leaves_no_socket_when_a_call_fails),
    cmocka_unit_test(makes_a_unix_socket_for_its_owner_alone),
    cmocka_unit_test(gives_a_unix_socket_the_mode_it_is_told),
    cmocka_unit_test(replaces_a_socket_file_that_nobody_serves),
    cmocka_unit_test(does_not_touch_a_live_server),
    cmocka_unit_test(does_not_touch_a_live_server_that_is_busy),
    cmocka_unit_test(does_not_touch_a_file_that_is_no_socket),
    cmocka_unit_test(listens_in_the_abstract_name_space),
    cmocka_unit_test(refuses_a_path_that_is_none),
    cmocka_unit_test(leaves_neither_socket_nor_file_when_a_call_fails),
};

TESTING_MAIN(tests)
