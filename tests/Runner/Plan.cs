using Actors.Hosting;
using Actors.Support;

namespace Actors.Runner;

/// <summary>Which test programs run, on which Postgres, and which of them beside each other.</summary>
/// <param name="Majors">Versions of embedded servers; null: the server that <c>ACTORS_POSTGRES</c> names.</param>
/// <param name="Lanes">Programs of one lane run one after the other.</param>
internal sealed record Plan(IReadOnlyList<int?> Majors, IReadOnlyList<IReadOnlyList<TestProgram>> Lanes)
{
    private const int NewestMajor = 18;
    private const string Processes = "Processes";
    private const string CrashMatrix = "*.CrashMatrixTests";

    /// <param name="all">Everything, also on the oldest Postgres.</param>
    /// <param name="asked">A project and arguments of xunit; empty: all projects.</param>
    public static Plan For(bool all, string[] asked)
    {
        int?[] majors = TestPostgres.Settings switch
        {
            { ConnectionString: not null } => [null],
            { Major: { } one } => [one],
            _ when all || Environment.GetEnvironmentVariable("ACTORS_POSTGRES_VERSION") == "all" => [NewestMajor, PostgresSettings.OldestMajor],
            _ => [NewestMajor],
        };
        if (asked is [var project, .. var arguments])
        {
            return new(majors, [[.. majors.Select(major => Program(project, major, arguments))]]);
        }

        string[] tier = all ? [] : ["-trait-", OnlyInAllAttribute.Trait];
        var others = Projects().Where(name => name != Processes).ToList();
        // Silos that probe each other every second wait for much of their time. What needs the processor runs beside them, and takes what
        // they leave.
        List<TestProgram> beside =
        [
            .. others.Select(name => Program(name, majors[0], tier)),
            .. all ? new[] { Program(Processes, majors[0], "-class", CrashMatrix) } : [],
            .. from major in majors.Skip(1) from name in others.Append(Processes) select Program(name, major, tier),
        ];
        var processes = Program(Processes, majors[0], all ? ["-class-", CrashMatrix] : tier);
        return new(majors, [[processes], [.. beside.Select(program => program with { YieldsToOthers = true })]]);

        TestProgram Program(string name, int? major, params string[] given) =>
            new(name, major, major == majors[0] ? given : [.. given, "-trait", EachPostgresAttribute.Trait]) { MustRun = major == majors[0] };
    }

    private static IEnumerable<string> Projects() =>
        from file in Directory.EnumerateFiles(Path.Combine(TestPostgres.RepositoryFolder, "tests"), "*.csproj", SearchOption.AllDirectories)
        where File.ReadAllText(file).Contains("\"xunit.v3\"", StringComparison.Ordinal)
        orderby new FileInfo(file).Length
        select Path.GetFileNameWithoutExtension(file);
}
