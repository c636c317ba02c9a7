#include "tests/support/testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
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
#include "tests/support/faults.h"

static const struct netutil_bind_options ipv4 = { .address = "127.0.0.1" };

static bool has_ipv6(void)
{
    struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;

    if (fd >= 0)
        close(fd);
    if (!has)
        print_message("this machine has no IPv6: part of the test is skipped\n");
    return has;
}

static void close_fds(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

/* Addresses. */

/* netutil_test:test_is_valid_ip */
static void knows_literal_addresses_from_all_else(void **state)
{
    static const char *const valid[] = { "127.0.0.1", "4.4.4.4", "::1", "2620:0:1cfe:face:b00c::3" };
    static const char *const invalid[] = { "www.google.com", "localhost", "4.4.4.4<", " 127.0.0.1", "127.0.0.1 ", "",
                                           " ", "\n", "1", "127.1", "1.2.3.256", "::1%lo", "[::1]", ":::" };
    char endless[101] = "";

    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++)
        assert_true(netutil_is_valid_ip(valid[i]));
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
        assert_false(netutil_is_valid_ip(invalid[i]));
    assert_false(netutil_is_valid_ip(memset(endless, 'a', 100)));
    assert_false(netutil_is_valid_ip(NULL));
}

static void assert_formatted(const void *address, size_t length, const char *text)
{
    char buffer[128];

    assert_int_equal(netutil_format_address(address, (socklen_t)length, buffer, sizeof buffer), strlen(text));
    assert_string_equal(buffer, text);
}

static void formats_addresses_of_each_family(void **state)
{
    struct sockaddr_in inet = { .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(0x7f000001) };
    struct sockaddr_in6 inet6 = { .sin6_family = AF_INET6, .sin6_port = htons(65535), .sin6_addr = in6addr_loopback };
    struct sockaddr_un path = { .sun_family = AF_UNIX, .sun_path = "/tmp/x" };
    struct sockaddr_un abstract = { .sun_family = AF_UNIX, .sun_path = "\0name\n" };
    size_t start = offsetof(struct sockaddr_un, sun_path);
    struct sockaddr unknown = { .sa_family = AF_UNSPEC };

    assert_formatted(&inet, sizeof inet, "127.0.0.1:80");
    assert_formatted(&inet6, sizeof inet6, "[::1]:65535");
    inet6.sin6_scope_id = 7;
    assert_formatted(&inet6, sizeof inet6, "[::1%7]:65535");
    assert_formatted(&path, sizeof path, "unix:/tmp/x");
    assert_formatted(&path, start + 4, "unix:/tmp"); /* without a NUL at its end */
    assert_formatted(&path, start, "unix:");
    assert_formatted(&abstract, start + 6, "unix:@name?");
    assert_formatted(&unknown, sizeof unknown, "");
    assert_formatted(&inet, 0, "");
    assert_int_equal(netutil_port((struct sockaddr *)&inet), 80);
    assert_int_equal(netutil_port((struct sockaddr *)&inet6), 65535);
    assert_int_equal(netutil_port((struct sockaddr *)&path), 0);
    assert_int_equal(netutil_bound_port(-1), 0);
}

static void cuts_an_address_that_does_not_fit(void **state)
{
    struct sockaddr_in inet = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
    char buffer[6] = "?????";

    assert_int_equal(netutil_format_address((struct sockaddr *)&inet, sizeof inet, buffer, 4), 3);
    assert_string_equal(buffer, "127");
    assert_int_equal(netutil_format_address((struct sockaddr *)&inet, sizeof inet, buffer, 0), 0);
    assert_string_equal(buffer, "127");
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
    int expected = has_ipv6() ? 2 : 1;
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

    assert_int_equal(count, has_ipv6() ? 2 : 1);
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
    if (!has_ipv6())
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
    if (has_ipv6())
        assert_int_equal(netutil_bind_sockets(fds, 1, 0, NULL), -ENOSPC);
}

static void tells_why_a_name_was_not_resolved(void **state)
{
    static const struct { int gai, error; } cases[] = {
        { EAI_NONAME, -ENXIO }, { EAI_AGAIN, -ENXIO }, { EAI_FAIL, -ENXIO }, { EAI_MEMORY, -ENOMEM },
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

    if (!has_ipv6())
        return;
    faults_system_call("socket", EAFNOSUPPORT, 2);
    assert_int_equal(netutil_bind_sockets(fds, 8, 0, NULL), 1);
    assert_true(faults_hit());
    assert_int_equal(family_of(fds[0]), AF_INET);
    close(fds[0]);
    faults_system_call_sticky("socket", EAFNOSUPPORT, 1);
    assert_int_equal(netutil_bind_sockets(fds, 8, 0, NULL), -EAFNOSUPPORT);
    faults_end();

    int count = netutil_bind_sockets(fds, 8, 0, &(struct netutil_bind_options){ .address = "localhost" });
    assert_true(count >= 1);
    close_fds(fds, count);
    if (count < 2)
        return; /* its hosts file knows no ::1 */
    faults_system_call("bind", EADDRNOTAVAIL, count);
    assert_int_equal(netutil_bind_sockets(fds, 8, 0, &(struct netutil_bind_options){ .address = "localhost" }),
                     count - 1);
    assert_true(faults_hit());
    close_fds(fds, count - 1);
    faults_system_call("bind", EADDRNOTAVAIL, 1);
    assert_int_equal(netutil_bind_sockets(fds, 8, 0, &(struct netutil_bind_options){ .address = "localhost" }),
                     -EADDRNOTAVAIL);
    faults_end();
}

static void asks_for_another_port_when_one_family_has_it_taken(void **state)
{
    int fds[8];
    int expected = has_ipv6() ? 2 : 1;

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

/* Accepting. */

enum { MOST = 200 };

struct accepting {
    struct ioloop *loop;
    int listener, port;
    double clock;
    int fds[MOST], count;
    void (*on_accept)(struct accepting *accepting); /* what the callback does beyond counting */
    bool done; /* wanted connections are there */
    int wanted;
    int clients[MOST], client_count;
};

static void begin_accepting(struct accepting *accepting)
{
    *accepting = (struct accepting){ .clock = 1000 };
    accepting->loop = ioloop_new(
        &(struct ioloop_options){ .clock = testing_clock, .clock_arg = &accepting->clock });
    assert_non_null(accepting->loop);
    assert_int_equal(netutil_bind_sockets(&accepting->listener, 1, 0, &ipv4), 1);
    accepting->port = netutil_bound_port(accepting->listener);
}

static void end_accepting(struct accepting *accepting)
{
    faults_end();
    close_fds(accepting->fds, accepting->count);
    close_fds(accepting->clients, accepting->client_count);
    if (accepting->loop != NULL)
        ioloop_close(accepting->loop, false);
    if (accepting->listener >= 0)
        close(accepting->listener);
}

static void on_accept(int fd, const struct sockaddr *address, socklen_t length, void *arg)
{
    struct accepting *accepting = arg;

    assert_true(accepting->count < MOST);
    accepting->fds[accepting->count++] = fd;
    accepting->done = accepting->count == accepting->wanted;
    if (accepting->on_accept != NULL)
        accepting->on_accept(accepting);
}

static void add_handler(struct accepting *accepting)
{
    assert_int_equal(netutil_add_accept_handler(accepting->loop, accepting->listener, on_accept, accepting), 0);
}

/* A connection over loopback is in the listener's queue when connect returns. */
static void connect_clients(struct accepting *accepting, int count)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)accepting->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    for (int i = 0; i < count; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
        accepting->clients[accepting->client_count++] = fd;
    }
}

static void run_until_count(struct accepting *accepting, int count)
{
    accepting->wanted = count;
    accepting->done = accepting->count == count;
    testing_run_until(accepting->loop, &accepting->done);
    accepting->wanted = 0;
}

static bool is_closed_by_server(int client)
{
    char byte;

    return recv(client, &byte, 1, MSG_DONTWAIT) == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static struct sockaddr_in peer_address;

static void note_peer(int fd, const struct sockaddr *address, socklen_t length, void *arg)
{
    assert_int_equal(length, sizeof peer_address);
    memcpy(&peer_address, address, sizeof peer_address);
    on_accept(fd, address, length, arg);
}

static void hands_over_connections_ready_to_use(void **state)
{
    struct accepting accepting;
    struct sockaddr_in own;
    socklen_t length = sizeof own;

    begin_accepting(&accepting);
    assert_int_equal(netutil_add_accept_handler(accepting.loop, accepting.listener, note_peer, &accepting), 0);
    connect_clients(&accepting, 1);
    run_until_count(&accepting, 1);
    assert_true(fcntl(accepting.fds[0], F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(accepting.fds[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(option_of(accepting.fds[0], IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(getsockname(accepting.clients[0], (struct sockaddr *)&own, &length), 0);
    assert_int_equal(own.sin_port, peer_address.sin_port);
    end_accepting(&accepting);
}

static void makes_a_blocking_listener_non_blocking(void **state)
{
    struct accepting accepting;

    begin_accepting(&accepting);
    fcntl(accepting.listener, F_SETFL, 0);
    add_handler(&accepting);
    connect_clients(&accepting, 1);
    run_until_count(&accepting, 1); /* or it would hang in the second accept */
    end_accepting(&accepting);
}

static void accepts_64_connections_an_iteration(void **state)
{
    struct accepting accepting;

    begin_accepting(&accepting);
    add_handler(&accepting);
    connect_clients(&accepting, 150);
    testing_spin(accepting.loop, 1);
    assert_int_equal(accepting.count, 64);
    testing_spin(accepting.loop, 1);
    assert_int_equal(accepting.count, 128);
    testing_spin(accepting.loop, 1);
    assert_int_equal(accepting.count, 150);
    end_accepting(&accepting);
}

static void remove_handler(struct accepting *accepting)
{
    netutil_remove_accept_handler(accepting->loop, accepting->listener);
}

static void stops_at_once_when_a_callback_removes_the_handler(void **state)
{
    struct accepting accepting;

    begin_accepting(&accepting);
    add_handler(&accepting);
    connect_clients(&accepting, 3);
    accepting.on_accept = remove_handler;
    testing_spin(accepting.loop, 3);
    assert_int_equal(accepting.count, 1);
    accepting.on_accept = NULL;
    add_handler(&accepting); /* the others still wait */
    run_until_count(&accepting, 3);
    end_accepting(&accepting);
}

static void remove_handler_and_close(struct accepting *accepting)
{
    remove_handler(accepting);
    close(accepting->listener);
    accepting->listener = -1;
}

static void lets_a_callback_close_the_listener(void **state)
{
    struct accepting accepting;

    begin_accepting(&accepting);
    add_handler(&accepting);
    connect_clients(&accepting, 3);
    accepting.on_accept = remove_handler_and_close;
    testing_spin(accepting.loop, 3);
    assert_int_equal(accepting.count, 1);
    end_accepting(&accepting);
}

static void remove_and_add_handler(struct accepting *accepting)
{
    remove_handler(accepting);
    add_handler(accepting);
}

static void lets_a_callback_put_another_handler_in_place(void **state)
{
    struct accepting accepting;

    begin_accepting(&accepting);
    add_handler(&accepting);
    connect_clients(&accepting, 3);
    accepting.on_accept = remove_and_add_handler;
    testing_spin(accepting.loop, 1);
    assert_int_equal(accepting.count, 1);
    run_until_count(&accepting, 3);
    end_accepting(&accepting);
}

static void pause_handler(struct accepting *accepting)
{
    assert_int_equal(netutil_pause_accept_handler(accepting->loop, accepting->listener), 0);
}

static void leaves_connections_in_the_queue_while_paused(void **state)
{
    struct accepting accepting;

    begin_accepting(&accepting);
    add_handler(&accepting);
    connect_clients(&accepting, 3);
    accepting.on_accept = pause_handler;
    testing_spin(accepting.loop, 3);
    assert_int_equal(accepting.count, 1);
    accepting.on_accept = NULL;
    assert_int_equal(netutil_resume_accept_handler(accepting.loop, accepting.listener), 0);
    run_until_count(&accepting, 3);
    assert_false(is_closed_by_server(accepting.clients[2]));
    end_accepting(&accepting);
}

static void close_loop(struct accepting *accepting)
{
    ioloop_close(accepting->loop, false);
}

static void stops_at_once_when_a_callback_closes_the_loop(void **state)
{
    struct accepting accepting;

    begin_accepting(&accepting);
    add_handler(&accepting);
    connect_clients(&accepting, 3);
    accepting.on_accept = close_loop;
    assert_int_equal(ioloop_start(accepting.loop), 0);
    assert_int_equal(accepting.count, 1);
    accepting.loop = NULL;
    end_accepting(&accepting);
}

static void ends_with_the_loop_and_leaves_the_listener(void **state)
{
    struct accepting accepting;

    begin_accepting(&accepting);
    add_handler(&accepting);
    ioloop_close(accepting.loop, false);
    accepting.loop = NULL;
    assert_int_equal(option_of(accepting.listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
    end_accepting(&accepting);
}

static void closes_the_listener_with_the_loop_when_told_to(void **state)
{
    struct accepting accepting;

    begin_accepting(&accepting);
    add_handler(&accepting);
    ioloop_close(accepting.loop, true);
    accepting.loop = NULL;
    assert_int_equal(fcntl(accepting.listener, F_GETFD), -1);
    accepting.listener = -1;
    end_accepting(&accepting);
}

static void answers_errors_for_what_is_not_there(void **state)
{
    struct accepting accepting;
    int pipe_fds[2];

    begin_accepting(&accepting);
    assert_int_equal(netutil_pause_accept_handler(accepting.loop, accepting.listener), -ENOENT);
    assert_int_equal(netutil_resume_accept_handler(accepting.loop, accepting.listener), -ENOENT);
    netutil_remove_accept_handler(accepting.loop, accepting.listener);
    add_handler(&accepting);
    assert_int_equal(netutil_add_accept_handler(accepting.loop, accepting.listener, on_accept, NULL), -EEXIST);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(netutil_add_accept_handler(accepting.loop, pipe_fds[0], on_accept, NULL), -ENOTSOCK);
    close_fds(pipe_fds, 2);
    assert_int_equal(netutil_add_accept_handler(accepting.loop, -1, on_accept, NULL), -EBADF);
    end_accepting(&accepting);
}

/* When accept fails. */

static void goes_on_after_a_connection_that_came_to_nothing(void **state)
{
    static const int errors[] = { ECONNABORTED, EPROTO, EINTR, EPERM, ENETDOWN, ENETUNREACH, EHOSTDOWN,
                                  EHOSTUNREACH, ENOPROTOOPT, ETIMEDOUT };

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct accepting accepting;
        begin_accepting(&accepting);
        add_handler(&accepting);
        connect_clients(&accepting, 2);
        testing_begin_logs();
        faults_system_call("accept4", errors[i], 2);
        testing_spin(accepting.loop, 1);
        assert_true(faults_hit());
        assert_int_equal(accepting.count, 2);
        assert_int_equal(testing_logs(NULL), 0);
        end_accepting(&accepting);
    }
}

/* Moves the clock and runs; answers how many connections were accepted meanwhile. */
static int accepted_after(struct accepting *accepting, double seconds)
{
    int before = accepting->count;

    accepting->clock += seconds;
    testing_spin(accepting->loop, 3);
    return accepting->count - before;
}

static void rests_when_it_runs_short_and_recovers(void **state)
{
    static const int errors[] = { EMFILE, ENFILE, ENOMEM, ENOBUFS };

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct accepting accepting;
        begin_accepting(&accepting);
        add_handler(&accepting);
        connect_clients(&accepting, 2);
        testing_begin_logs();
        faults_system_call("accept4", errors[i], 1);
        testing_spin(accepting.loop, 3);
        assert_true(faults_hit());
        assert_int_equal(testing_logs("cannot accept connections on 127.0.0.1:"), 1);
        /* What waited was turned away, what comes now waits. */
        assert_int_equal(accepting.count, 0);
        assert_true(is_closed_by_server(accepting.clients[0]));
        assert_true(is_closed_by_server(accepting.clients[1]));
        connect_clients(&accepting, 1);
        assert_int_equal(accepted_after(&accepting, 0.099), 0);
        assert_int_equal(accepted_after(&accepting, 0.002), 1);
        assert_false(is_closed_by_server(accepting.clients[2]));
        end_accepting(&accepting);
    }
}

static void rests_longer_each_time_up_to_a_second(void **state)
{
    static const double rests[] = { 0.1, 0.2, 0.4, 0.8, 1.0, 1.0 };
    struct accepting accepting;

    begin_accepting(&accepting);
    add_handler(&accepting);
    connect_clients(&accepting, 1);
    testing_begin_logs();
    faults_system_call_sticky("accept4", EMFILE, 1);
    testing_spin(accepting.loop, 1);
    for (size_t i = 0; i < sizeof rests / sizeof *rests; i++) {
        faults_count_reset();
        accepting.clock += rests[i] - 0.001;
        testing_spin(accepting.loop, 100);
        assert_int_equal(faults_count("accept4"), 0);
        accepting.clock += 0.002;
        testing_spin(accepting.loop, 100);
        /* One that fails, one with the spare descriptor, and no spinning. */
        assert_int_equal(faults_count("accept4"), 2);
    }
    assert_int_equal(testing_logs(NULL), 1);
    for (int i = 0; i < 7; i++)
        accepted_after(&accepting, 1.001);
    assert_int_equal(testing_logs(NULL), 2);
    faults_end();
    assert_int_equal(accepted_after(&accepting, 1.001), 1);
    /* Once it has gone well the next rest is short again. */
    connect_clients(&accepting, 1);
    faults_system_call("accept4", EMFILE, 1);
    testing_spin(accepting.loop, 2);
    connect_clients(&accepting, 1);
    assert_int_equal(accepted_after(&accepting, 0.101), 1);
    end_accepting(&accepting);
}

/* An error that stays must neither be mistaken for a lack of descriptors nor spin. */
static void rests_after_an_error_it_does_not_know(void **state)
{
    struct accepting accepting;

    begin_accepting(&accepting);
    add_handler(&accepting);
    connect_clients(&accepting, 1);
    testing_begin_logs();
    faults_system_call("accept4", EINVAL, 1);
    testing_spin(accepting.loop, 5);
    assert_true(faults_hit());
    assert_int_equal(testing_logs("cannot accept"), 1);
    assert_false(is_closed_by_server(accepting.clients[0]));
    assert_int_equal(accepted_after(&accepting, 0.101), 1);
    end_accepting(&accepting);
}

static void recovers_without_memory_for_a_timeout(void **state)
{
    struct accepting accepting;

    begin_accepting(&accepting);
    add_handler(&accepting);
    connect_clients(&accepting, 1);
    testing_begin_logs();
    faults_system_call("accept4", EINVAL, 1);
    faults_allocation(1, true);
    testing_spin(accepting.loop, 3);
    assert_true(faults_hit());
    assert_int_equal(accepting.count, 1);
    end_accepting(&accepting);
}

static void tries_again_when_the_kernel_does_not_watch(void **state)
{
    struct accepting accepting;

    begin_accepting(&accepting);
    add_handler(&accepting);
    connect_clients(&accepting, 1);
    testing_begin_logs();
    pause_handler(&accepting);
    faults_system_call("epoll_ctl", ENOMEM, 1);
    assert_int_equal(netutil_resume_accept_handler(accepting.loop, accepting.listener), 0);
    if (faults_hit()) /* not where kqueue stands in */
        assert_int_equal(accepted_after(&accepting, 0.099), 0);
    assert_int_equal(accepted_after(&accepting, 0.101), 1);
    end_accepting(&accepting);
}

static void stays_paused_when_a_rest_ends(void **state)
{
    struct accepting accepting;

    begin_accepting(&accepting);
    add_handler(&accepting);
    connect_clients(&accepting, 1);
    testing_begin_logs();
    faults_system_call("accept4", EINVAL, 1);
    testing_spin(accepting.loop, 1);
    faults_end();
    pause_handler(&accepting);
    assert_int_equal(accepted_after(&accepting, 2), 0);
    assert_int_equal(netutil_resume_accept_handler(accepting.loop, accepting.listener), 0);
    assert_int_equal(accepted_after(&accepting, 0), 1);
    end_accepting(&accepting);
}

static void may_be_removed_while_it_rests(void **state)
{
    struct accepting accepting;

    begin_accepting(&accepting);
    add_handler(&accepting);
    connect_clients(&accepting, 1);
    testing_begin_logs();
    faults_system_call_sticky("accept4", EMFILE, 1);
    testing_spin(accepting.loop, 1);
    faults_end();
    remove_handler(&accepting);
    assert_int_equal(accepted_after(&accepting, 2), 0);
    end_accepting(&accepting);
}

static void adds_no_handler_when_something_fails(void **state)
{
    static const char *const calls[] = { "getsockopt", "fcntl", "epoll_ctl" };
    struct accepting accepting;

    begin_accepting(&accepting);
    int before = testing_count_fds();
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        for (int nth = 1;; nth++) {
            faults_system_call(calls[i], ENOMEM, nth);
            int error = netutil_add_accept_handler(accepting.loop, accepting.listener, on_accept, &accepting);
            if (!faults_hit())
                break;
            assert_int_equal(error, -ENOMEM);
            assert_int_equal(testing_count_fds(), before);
        }
        remove_handler(&accepting);
        assert_int_equal(testing_count_fds(), before);
    }
    long allocated = faults_allocated();
    for (int nth = 1;; nth++) {
        faults_allocation(nth, false);
        int error = netutil_add_accept_handler(accepting.loop, accepting.listener, on_accept, &accepting);
        if (!faults_hit())
            break;
        assert_int_equal(error, -ENOMEM);
        assert_int_equal(faults_allocated(), allocated);
    }
    end_accepting(&accepting);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(knows_literal_addresses_from_all_else),
    cmocka_unit_test(formats_addresses_of_each_family),
    cmocka_unit_test(cuts_an_address_that_does_not_fit),
    cmocka_unit_test(gives_one_port_to_all_families),
    cmocka_unit_test(shares_a_port_only_when_asked_to),
    cmocka_unit_test(listens_on_all_interfaces_ipv4_first),
    cmocka_unit_test(listens_on_one_family_when_asked_to),
    cmocka_unit_test(refuses_what_makes_no_sense),
    cmocka_unit_test(tells_why_a_name_was_not_resolved),
    cmocka_unit_test(serves_ipv4_where_ipv6_is_missing),
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
    cmocka_unit_test(hands_over_connections_ready_to_use),
    cmocka_unit_test(makes_a_blocking_listener_non_blocking),
    cmocka_unit_test(accepts_64_connections_an_iteration),
    cmocka_unit_test(stops_at_once_when_a_callback_removes_the_handler),
    cmocka_unit_test(lets_a_callback_close_the_listener),
    cmocka_unit_test(lets_a_callback_put_another_handler_in_place),
    cmocka_unit_test(leaves_connections_in_the_queue_while_paused),
    cmocka_unit_test(stops_at_once_when_a_callback_closes_the_loop),
    cmocka_unit_test(ends_with_the_loop_and_leaves_the_listener),
    cmocka_unit_test(closes_the_listener_with_the_loop_when_told_to),
    cmocka_unit_test(answers_errors_for_what_is_not_there),
    cmocka_unit_test(goes_on_after_a_connection_that_came_to_nothing),
    cmocka_unit_test(rests_when_it_runs_short_and_recovers),
    cmocka_unit_test(rests_longer_each_time_up_to_a_second),
    cmocka_unit_test(rests_after_an_error_it_does_not_know),
    cmocka_unit_test(recovers_without_memory_for_a_timeout),
    cmocka_unit_test(tries_again_when_the_kernel_does_not_watch),
    cmocka_unit_test(stays_paused_when_a_rest_ends),
    cmocka_unit_test(may_be_removed_while_it_rests),
    cmocka_unit_test(adds_no_handler_when_something_fails),
};

TESTING_MAIN(tests)
