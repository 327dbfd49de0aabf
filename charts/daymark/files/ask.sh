# Asks each of $NAMES for its addresses, by UDP and by TCP: at $SERVER, such as @192.0.2.1, or the resolver of this host.
for name in $NAMES; do
  for transport in +notcp +tcp; do
    # Word by word, for SERVER and OPTIONS may be empty or several.
    found=$(dig +short +time=2 +tries=5 $transport $OPTIONS $SERVER "$name" A "$name" AAAA | grep -E '^[0-9a-f.:]+$' || true)
    if [ -z "$found" ]; then
      echo "$name: no address ($transport ${SERVER:-by the resolver})"
      exit 1
    fi
    echo "$name ($transport):" $found
  done
done
