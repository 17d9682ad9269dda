# SPDX-License-Identifier: Apache-2.0
# Completion for shells. bash and fish look for a file that is called like the command, so
# each tool has a link to the one file; zsh reads one file for all.

bashcompdir = $(datadir)/bash-completion/completions
fishcompdir = $(datadir)/fish/vendor_completions.d
zshcompdir = $(datadir)/zsh/site-functions

EXTRA_DIST += \
	completions/_flue \
	completions/flue.bash \
	completions/flue.fish

install-completions:
	$(MKDIR_P) '$(DESTDIR)$(bashcompdir)' '$(DESTDIR)$(fishcompdir)' '$(DESTDIR)$(zshcompdir)'
	$(INSTALL_DATA) $(srcdir)/completions/flue.bash '$(DESTDIR)$(bashcompdir)/flue'
	$(INSTALL_DATA) $(srcdir)/completions/flue.fish '$(DESTDIR)$(fishcompdir)/flue.fish'
	$(INSTALL_DATA) $(srcdir)/completions/_flue '$(DESTDIR)$(zshcompdir)/_flue'
	for tool in $(bin_PROGRAMS:tools/%=%); do \
		ln -sf flue '$(DESTDIR)$(bashcompdir)/'$$tool && \
		ln -sf flue.fish '$(DESTDIR)$(fishcompdir)/'$$tool.fish || exit 1; \
	done

uninstall-completions:
	cd '$(DESTDIR)$(bashcompdir)' && rm -f flue $(bin_PROGRAMS:tools/%=%)
	cd '$(DESTDIR)$(fishcompdir)' && rm -f flue.fish $(bin_PROGRAMS:tools/%=%.fish)
	rm -f '$(DESTDIR)$(zshcompdir)/_flue'

install-data-local: install-completions
uninstall-local: uninstall-completions
.PHONY: install-completions uninstall-completions
