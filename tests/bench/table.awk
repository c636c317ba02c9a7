# Makes a table of lines "section figure unit loop value", with tabs between: a row a figure, a column a loop, medians
# with the least and the greatest below them, and what ioloop is beside the limit and beside the best of the others.
# Variables: section; columns, in their order.
BEGIN {
    FS = "\t"
    wanted = split(columns, order, " ")
}

$1 == section {
    if (!($2 in unit)) {
        figures[++rows] = $2
        unit[$2] = $3
        if (length($2) > width)
            width = length($2)
    }
    seen[$4] = 1
    number[$2, $4]++
    values[$2, $4, number[$2, $4]] = $5 + 0
}

# Three digits that count.
function short(value)
{
    if (value >= 99.95)
        return sprintf("%.0f", value)
    if (value >= 9.995)
        return sprintf("%.1f", value)
    return sprintf("%.2f", value)
}

# Sorts the values of a cell; answers how many there are.
function sort(figure, loop,    count, i, j, value)
{
    if (!((figure, loop) in number))
        return 0
    count = number[figure, loop]
    for (i = 2; i <= count; i++) {
        value = values[figure, loop, i]
        for (j = i - 1; j >= 1 && values[figure, loop, j] > value; j--)
            values[figure, loop, j + 1] = values[figure, loop, j]
        values[figure, loop, j + 1] = value
    }
    return count
}

function median(figure, loop,    count)
{
    count = sort(figure, loop)
    if (count % 2 == 1)
        return values[figure, loop, (count + 1) / 2]
    return (values[figure, loop, count / 2] + values[figure, loop, count / 2 + 1]) / 2
}

function span(figure, loop, count)
{
    return short(values[figure, loop, 1]) "-" short(values[figure, loop, count])
}

function ratio(figure, other)
{
    if (!((figure, "ioloop") in number) || !((figure, other) in number) || median(figure, other) < 0.005)
        return "-"
    return sprintf("%.2f", median(figure, "ioloop") / median(figure, other))
}

# The width of a column.
function cell(loop)
{
    return length(loop) > 11 ? length(loop) : 11
}

# Of rates the greatest is best, of costs the least.
function best_peer(figure,    i, best, rate)
{
    rate = unit[figure] ~ /\/s$/
    for (i = 1; i <= wanted; i++) {
        if (order[i] ~ /^limit|^(ioloop|echo_server|web)$/ || !((figure, order[i]) in number))
            continue
        if (best == "" || (rate && median(figure, order[i]) > median(figure, best)))
            best = order[i]
        else if (!rate && median(figure, order[i]) < median(figure, best))
            best = order[i]
    }
    return best
}

END {
    heading = sprintf("%-" width "s  %-10s", "", "")
    for (i = 1; i <= wanted; i++) {
        if (order[i] in seen)
            heading = heading sprintf(" %" cell(order[i]) "s", order[i])
    }
    print heading "  /limit  /best peer"
    for (r = 1; r <= rows; r++) {
        figure = figures[r]
        line = sprintf("%-" width "s  %-10s", figure, unit[figure])
        range = sprintf("%-" width "s  %-10s", "", "")
        rounds = 0
        for (i = 1; i <= wanted; i++) {
            loop = order[i]
            if (!(loop in seen))
                continue
            count = sort(figure, loop)
            if (count > rounds)
                rounds = count
            line = line sprintf(" %" cell(loop) "s", count ? short(median(figure, loop)) : "-")
            range = range sprintf(" %" cell(loop) "s", count ? span(figure, loop, count) : "")
        }
        best = best_peer(figure)
        print line sprintf("  %6s  %s", ratio(figure, "limit"), best == "" ? "     -" : sprintf("%6s", ratio(figure, best)) " " best)
        if (rounds > 1)
            print range
    }
}
