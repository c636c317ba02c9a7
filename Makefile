# ioloop: see README.md. Everything that is made goes below build/.
#   make [all] run deps check bench fuzz stats format install uninstall clean
#   TEST=pattern (check)  ONLY=patterns (tests)  V=1  DEBUG=1  WERROR=1  SANITIZE=address,undefined|thread
#   POLLER=epoll|kqueue  KERNEL=linux|bsd: on Linux the second ones are for tests of what is written for the BSDs
#   CC, AR, CFLAGS, CPPFLAGS, LDFLAGS, BUILD=folder, PREFIX, LIBDIR, INCLUDEDIR, DESTDIR; OS= openssl= for another system

PREFIX     ?= /usr/local
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
CFLAGS     ?= $(if $(DEBUG),-O0,-O2) -g
VERSION    := 0.1.0
SOVERSION  := 0

OS       := $(shell uname -s)
NATIVE   := $(if $(filter Linux,$(OS)),epoll linux,kqueue bsd)
POLLER   ?= $(firstword $(NATIVE))
KERNEL   ?= $(lastword $(NATIVE))
empty    :=
comma    := ,
space    := $(empty) $(empty)
VARIANT  := $(subst $(space),-,$(strip $(filter-out $(NATIVE),$(POLLER) $(KERNEL)) $(subst $(comma),-,$(SANITIZE)) $(if $(DEBUG),debug)))
BUILD    ?= build$(if $(VARIANT),/$(VARIANT))
FOLDERS  := ioloop httpserver httpclient websocket

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla \
            -Wformat=2 -Wundef -Wno-unused-parameter -Wno-psabi $(if $(WERROR),-Werror)
OURFLAGS := -std=c11 -D_GNU_SOURCE -I. -pthread $(WARNINGS) \
            $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer)
SHARED   := -fPIC -fno-semantic-interposition -fno-plt# last: for the shared library, whatever CFLAGS say
LINK     := -pthread $(if $(SANITIZE),-fsanitize=$(SANITIZE))
Q        := $(if $(V),,@)

sources  := $(filter-out ioloop/poller_%.c ioloop/kernel_%.c,$(wildcard $(FOLDERS:%=%/*.c))) \
            ioloop/poller_$(POLLER).c ioloop/kernel_$(KERNEL).c
headers  := $(filter-out /dev/null,$(shell grep -L "^/\* Internal" $(wildcard $(FOLDERS:%=%/*.h)) /dev/null))
support  := $(filter-out tests/support/faults_%.c,$(wildcard tests/support/*.c)) tests/support/faults_$(KERNEL).c
# Where the kernel has no kqueue, the one in tests/kqueue stands in for it.
ifeq ($(OS)-$(if $(filter kqueue bsd,$(POLLER) $(KERNEL)),kqueue),Linux-kqueue)
OURFLAGS += -Itests/kqueue
sources  += tests/kqueue/kqueue.c
endif

objects  := $(sources:%.c=$(BUILD)/%.o)
# OpenSSL, for the one example that shows how it is used; the library does without.
openssl  := $(shell pkg-config --libs openssl 2> /dev/null)
examples := $(patsubst docs/examples/%.c,$(BUILD)/examples/%,\
              $(filter-out $(if $(openssl),,docs/examples/tls_openssl.c),$(wildcard docs/examples/*.c)))
tests    := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard $(patsubst %,tests/%.c,$(or $(ONLY),test_*))))
programs := $(patsubst tests/%.c,$(BUILD)/tests/%,$(filter-out tests/test_%.c,$(wildcard tests/*.c)))
archive  := $(BUILD)/libioloop.a
# $(call so_name,VERSION)
so_name   = libioloop$(if $(filter Darwin,$(OS)),$(1:%=.%).dylib,.so$(1:%=.%))
# It stays loaded: threads of its executors, with a name to look up perhaps, may outlive the dlclose of a plugin.
so_flags := $(if $(filter Darwin,$(OS)),-dynamiclib -Wl$(comma)-install_name$(comma)$(LIBDIR)/,-shared -Wl$(comma)-z$(comma)nodelete -Wl$(comma)-soname$(comma))$(call so_name,$(SOVERSION))
shared   := $(BUILD)/$(call so_name,$(VERSION))

# System calls that a test may make fail: the linker sends them through tests/support/faults_linux.c.
include tests/support/faults.mk

all: $(archive) $(shared) $(examples)

$(BUILD)/%.o: %.c
	$(if $(V),,@echo "  cc    $<")
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(OURFLAGS) $(if $(filter $(FOLDERS:%=%/%),$<),-fvisibility=hidden) $(CPPFLAGS) $(CFLAGS) $(SHARED) -MMD -MP -c -o $@ $<

$(archive): $(objects)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(shared): $(objects)
	$(Q)$(CC) $(so_flags) $(LINK) $(CFLAGS) $(LDFLAGS) -o $@ $^
	$(Q)ln -sf $(@F) $(BUILD)/$(call so_name,$(SOVERSION)) && ln -sf $(@F) $(BUILD)/$(call so_name)

$(examples): $(BUILD)/examples/%: $(BUILD)/docs/examples/%.o $(archive)
	$(Q)mkdir -p $(@D) && $(CC) $(LINK) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBRARIES)

# As their readers compile them: with what libc shows everybody.
$(BUILD)/docs/examples/%.o: OURFLAGS := $(subst -std=c11 -D_GNU_SOURCE,-std=gnu11,$(OURFLAGS))
$(BUILD)/docs/examples/tls_openssl.o: CPPFLAGS += $(shell pkg-config --cflags openssl)
$(BUILD)/examples/tls_openssl: LIBRARIES = $(openssl)

$(tests): $(BUILD)/tests/%: $(BUILD)/tests/%.o $(support:%.c=$(BUILD)/%.o) $(archive)
	$(Q)$(CC) $(LINK) $(CFLAGS) $(LDFLAGS) $(WRAP) -o $@ $^ -lcmocka

$(programs): $(BUILD)/tests/%: $(BUILD)/tests/%.o $(archive)
	$(Q)$(CC) $(LINK) $(CFLAGS) $(LDFLAGS) -o $@ $^

.PHONY: all run deps tests check bench fuzz stats format install uninstall clean
.SECONDARY:

run: all
	$(BUILD)/examples/chat --port=8888

deps:
	tests/deps.sh

tests: all $(tests) $(programs)

check:
	$(Q)MAKE="$(MAKE)" CC="$(CC)" tests/check.sh "$(TEST)"

bench: all
	$(Q)MAKE="$(MAKE)" tests/bench/bench.sh

fuzz:
	$(Q)MAKE="$(MAKE)" tests/fuzz/fuzz.sh $(or $(SECONDS_EACH),600)

stats:
	$(Q)tests/stats.sh

format:
	clang-format -i $(wildcard $(FOLDERS:%=%/*.[ch]) tests/*.[ch] tests/*/*.[ch] docs/examples/*.[ch])

install: $(archive) $(shared)
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(FOLDERS:%=$(DESTDIR)$(INCLUDEDIR)/ioloop-$(SOVERSION)/%)
	install -m 644 $(archive) $(DESTDIR)$(LIBDIR)
	install -m 755 $(shared) $(DESTDIR)$(LIBDIR)
	ln -sf $(notdir $(shared)) $(DESTDIR)$(LIBDIR)/$(call so_name,$(SOVERSION))
	ln -sf $(notdir $(shared)) $(DESTDIR)$(LIBDIR)/$(call so_name)
	for h in $(headers); do install -m 644 $$h $(DESTDIR)$(INCLUDEDIR)/ioloop-$(SOVERSION)/$$h || exit 1; done
	printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$(INCLUDEDIR)/ioloop-$(SOVERSION)' '' 'Name: ioloop' \
	    'Description: event loop, streams, HTTP and WebSocket in callback style' 'Version: $(VERSION)' \
	    'Libs: -L$${libdir} -lioloop' 'Libs.private: -pthread' 'Cflags: -I$${includedir}' \
	    > $(DESTDIR)$(LIBDIR)/pkgconfig/ioloop.pc

uninstall:
	rm -rf $(DESTDIR)$(INCLUDEDIR)/ioloop-$(SOVERSION) $(DESTDIR)$(LIBDIR)/pkgconfig/ioloop.pc $(DESTDIR)$(LIBDIR)/libioloop.*

clean:
	rm -rf build

-include $(wildcard $(patsubst %,$(BUILD)/%/*.d,$(FOLDERS) tests tests/support tests/kqueue docs/examples))
